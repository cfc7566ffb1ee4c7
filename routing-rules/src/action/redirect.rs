//! `redirect`: an answer that names other addresses (RFC 3261 §8.3).

use super::Outcome;
use super::template::{Place, Template};
use crate::limits::MAX_TARGETS;
use crate::load::{Keys, Loader, Node};
use crate::matcher::{Facts, Matcher};

const KEYS: Keys<'_> = Keys { known: &["contact", "status"] };
const CONTACT: &str = "a URI that begins with sip:, sips: or tel:";
const STATUS: &str = "one of: 300, 301, 302, 305, 380";
const USUAL: u16 = 302;

pub(super) fn read(node: &Node<'_>, matcher: Option<&Matcher>, loader: &mut Loader<'_>) -> Option<Outcome> {
    let table = node.table(loader, &KEYS)?;
    let contacts = match table.get("contact") {
        Some(contact) => read_contacts(&contact, matcher, loader),
        None if table.has_foreign_keys => None,
        None => table.refuse_missing(loader, "contact", CONTACT),
    };
    let status = match table.get("status") {
        Some(status) => match status.integer(loader, 300..=399, STATUS)? {
            known @ (300 | 301 | 302 | 305 | 380) => u16::try_from(known).ok(),
            _ => status.refuse(loader, STATUS),
        },
        None => Some(USUAL),
    };
    Some(Outcome::Redirect { status: status?, contacts: contacts? })
}

fn read_contacts(
    node: &Node<'_>,
    matcher: Option<&Matcher>,
    loader: &mut Loader<'_>,
) -> Option<Vec<Template>> {
    let contacts = node.each(loader, |item, loader| {
        let template = Template::read(item, Place::Uri, matcher, loader)?;
        let begins = |scheme: &&str| template.beginning().to_ascii_lowercase().starts_with(*scheme);
        if !["sip:", "sips:", "tel:"].iter().any(begins) {
            return item.refuse(loader, CONTACT);
        }
        Some(template)
    })?;
    if contacts.len() > MAX_TARGETS {
        return node.refuse_as(loader, format!("{} URIs", contacts.len()), format!("at most {MAX_TARGETS}"));
    }
    Some(contacts)
}

/// Writes the URIs for a request that the rule holds for.
pub(crate) fn write_contacts(contacts: &[Template], matcher: &Matcher, facts: &Facts, out: &mut Vec<String>) {
    out.extend(contacts.iter().map(|contact| contact.write(Place::Uri, matcher, facts)));
}
