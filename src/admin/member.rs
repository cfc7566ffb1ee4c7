//! `POST /api/v1/pool/member`: what the operator wants of a member.

use sbc_core::pool::Order;
use serde::{Deserialize, Serialize};

/// What is to become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MemberOrder {
    /// It takes its share again.
    Enabled,
    /// Nothing new; its calls go on to their end.
    Draining,
    /// Nothing new, and nobody waits for it.
    Disabled,
}

/// One order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MemberRequest {
    /// Its URI as configured, or its address.
    pub member: String,
    /// What is wanted of it.
    pub order: MemberOrder,
}

impl From<MemberOrder> for Order {
    fn from(order: MemberOrder) -> Self {
        match order {
            MemberOrder::Enabled => Self::Enabled,
            MemberOrder::Draining => Self::Draining,
            MemberOrder::Disabled => Self::Disabled,
        }
    }
}
