//! Which number does what.

use std::time::Duration;

use super::config::Config;

/// What happens to a call by the number it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// Answered by the member itself at once; what it does then is in [`After`].
    Answer(After),
    /// 180, then answered.
    Ring {
        /// How long it rings; `None`: for ever.
        answer_after: Option<Duration>,
    },
    /// Refused, with a Q.850 cause.
    Reject { status: u16, cause: u16 },
    /// 302 to a user of this member.
    Redirect(&'static str),
    /// All bindings of a user.
    User(String),
    /// Out through the gateway.
    Gateway(String),
}

/// What the member does in a call that it has answered itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    HangUp,
    Reinvite,
    /// INFO, then UPDATE, then a NOTIFY outside the dialog.
    Requests,
    /// MESSAGE, then OPTIONS.
    Messages,
    /// REFER the caller to a user of this member (`deflect`), and hang up when that went well.
    Refer(&'static str),
}

/// Wait before [`After::HangUp`] and [`After::Reinvite`].
pub(super) const AFTER_WAIT: Duration = Duration::from_secs(1);

/// The dialplan.
pub(super) fn destination(config: &Config, number: &str) -> Destination {
    match number {
        "9196" => Destination::Answer(After::Nothing),
        "9170" => Destination::Answer(After::Requests),
        "9171" => Destination::Answer(After::Refer("1001")),
        "9172" => Destination::Answer(After::Messages),
        "9184" => Destination::Answer(After::Reinvite),
        "9200" => Destination::Answer(After::HangUp),
        "9180" => Destination::Ring { answer_after: Some(Duration::from_secs(2)) },
        "9181" => Destination::Ring { answer_after: None },
        "9486" => Destination::Reject { status: 486, cause: 17 },
        "9503" => Destination::Reject { status: 503, cause: 41 },
        "9302" => Destination::Redirect("1001"),
        user if config.is_user(user) => Destination::User(user.into()),
        trunk if trunk.starts_with('+') && config.gateway.is_some() => Destination::Gateway(trunk.into()),
        _ => Destination::Reject { status: 404, cause: 3 },
    }
}

/// The text of a Q.850 cause as FreeSWITCH writes it.
pub(super) const fn cause_text(cause: u16) -> &'static str {
    match cause {
        1 => "UNALLOCATED_NUMBER",
        3 => "NO_ROUTE_DESTINATION",
        16 => "NORMAL_CLEARING",
        17 => "USER_BUSY",
        18 => "NO_USER_RESPONSE",
        19 => "NO_ANSWER",
        20 => "SUBSCRIBER_ABSENT",
        21 => "CALL_REJECTED",
        41 => "NORMAL_TEMPORARY_FAILURE",
        102 => "RECOVERY_ON_TIMER_EXPIRE",
        _ => "INTERWORKING",
    }
}

/// The cause that FreeSWITCH makes of a SIP status.
pub(super) const fn cause_of(status: u16) -> u16 {
    match status {
        401 | 402 | 403 | 407 | 603 | 608 => 21,
        404 => 1,
        408 | 504 => 102,
        480 => 18,
        486 | 600 => 17,
        503 => 41,
        _ => 127,
    }
}

/// The value of a Reason header with this cause.
pub(super) fn reason(cause: u16) -> String {
    format!("Q.850;cause={cause};text=\"{}\"", cause_text(cause))
}
