//! `set`, `remove` and `identity`: what the message that leaves says differently.

use super::host::{BadHost, Host};
use super::identity::{self, Caller};
use super::template::{Place, Template, write_escaped};
use crate::error::quote;
use crate::limits::MAX_HEADER_CHANGES;
use crate::load::{Keys, Loader, Node, Table};
use crate::matcher::{Facts, Matcher};
use crate::query::{Changes, HeaderChange};
use crate::words::is_token;

const SET: Keys<'_> = Keys { known: &["user", "host", "headers", "strip", "prepend"] };
const REMOVE: Keys<'_> = Keys { known: &["headers"] };
/// No number is longer.
const MAX_STRIP: u32 = 64;

/// Headers that hold transaction, dialog or message together, or that the edge writes itself, with their compact forms.
const NOT_OURS_TO_CHANGE: [&str; 31] = [
    "via",
    "v",
    "route",
    "record-route",
    "path",
    "service-route",
    "from",
    "f",
    "to",
    "t",
    "call-id",
    "i",
    "cseq",
    "contact",
    "m",
    "max-forwards",
    "content-length",
    "l",
    "content-type",
    "c",
    "content-encoding",
    "e",
    "www-authenticate",
    "proxy-authenticate",
    "authorization",
    "proxy-authorization",
    "refer-to",
    "r",
    "replaces",
    "x-auth-ip",
    "x-auth-port",
];

/// Changes of a message.
#[derive(Debug, Default)]
pub(crate) struct Set {
    user: Option<User>,
    host: Option<Host>,
    /// Name and value; without a value the header is taken out.
    headers: Vec<(Box<str>, Option<Template>)>,
    identity: Option<Caller>,
}

#[derive(Debug)]
enum User {
    Whole(Template),
    Digits { strip: usize, prepend: Box<str> },
}

/// The outer `None` is an error, the inner one a rule that changes nothing.
pub(super) fn read(
    rule: &Table<'_>,
    matcher: Option<&Matcher>,
    loader: &mut Loader<'_>,
) -> Option<Option<Set>> {
    let mut set = Set::default();
    let mut complete = true;
    if let Some(node) = rule.get("set") {
        complete &= read_set(&node, matcher, loader, &mut set).is_some();
    }
    if let Some(node) = rule.get("remove") {
        complete &= read_remove(&node, loader, &mut set).is_some();
    }
    if let Some(node) = rule.get("identity") {
        set.identity = identity::read(&node, matcher, loader);
        complete &= set.identity.is_some();
    }
    if set.headers.len() > MAX_HEADER_CHANGES {
        rule.refuse_missing::<()>(
            loader,
            "set.headers",
            &format!("at most {MAX_HEADER_CHANGES} headers in one rule"),
        );
        return None;
    }
    if !complete {
        return None;
    }
    let is_empty =
        set.user.is_none() && set.host.is_none() && set.headers.is_empty() && set.identity.is_none();
    Some((!is_empty).then_some(set))
}

fn read_set(
    node: &Node<'_>,
    matcher: Option<&Matcher>,
    loader: &mut Loader<'_>,
    set: &mut Set,
) -> Option<()> {
    let table = node.table(loader, &SET)?;
    if table.is_empty() {
        return node.refuse_as(
            loader,
            "an empty table",
            "at least one of: user, host, headers, strip, prepend",
        );
    }
    let user = read_user(&table, matcher, loader);
    let host = table.get("host").map_or(Some(None), |node| Host::read(&node, matcher, loader).map(Some));
    let headers = table.get("headers").map_or(Some(()), |node| read_headers(&node, matcher, loader, set));
    set.user = user?;
    set.host = host?;
    headers
}

/// The outer `None` is an error, the inner one no change.
fn read_user(table: &Table<'_>, matcher: Option<&Matcher>, loader: &mut Loader<'_>) -> Option<Option<User>> {
    let digits = table.get("strip").or_else(|| table.get("prepend"));
    match (table.get("user"), digits) {
        (None, None) => Some(None),
        (Some(_), Some(digits)) => {
            let found = format!("{} beside user", digits.path);
            digits.refuse_as(loader, found, "either a whole user, or strip and prepend")
        }
        (Some(user), None) => {
            Template::read(&user, Place::Uri, matcher, loader).map(|template| Some(User::Whole(template)))
        }
        (None, Some(_)) => {
            let strip = table.get("strip").map_or(Some(0), |node| {
                node.integer(loader, 1..=MAX_STRIP, "how many characters to take off, 1 to 64")
            });
            let prepend = table.get("prepend").map_or(Some(""), |node| read_prepend(&node, loader));
            let prepend = prepend?.into();
            Some(Some(User::Digits { strip: usize::try_from(strip?).ok()?, prepend }))
        }
    }
}

fn read_prepend<'d>(node: &Node<'d>, loader: &mut Loader<'_>) -> Option<&'d str> {
    let expected = "1 to 64 letters, digits or any of + * # - _ .";
    let text = node.text(loader, expected)?;
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"+*#-_.".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_fit) {
        return node.refuse(loader, expected);
    }
    Some(text)
}

fn read_headers(
    node: &Node<'_>,
    matcher: Option<&Matcher>,
    loader: &mut Loader<'_>,
    set: &mut Set,
) -> Option<()> {
    let mut complete = true;
    for (name, value) in node.named(loader, "a table of header names and values")? {
        let template = check_name(name, &value, loader)
            .and_then(|()| Template::read(&value, Place::Header, matcher, loader));
        complete &= template.is_some();
        set.headers.push((name.into(), template));
    }
    complete.then_some(())
}

fn read_remove(node: &Node<'_>, loader: &mut Loader<'_>, set: &mut Set) -> Option<()> {
    let table = node.table(loader, &REMOVE)?;
    let Some(headers) = table.get("headers") else {
        return if table.has_foreign_keys {
            None
        } else {
            table.refuse_missing(loader, "headers", "names of headers")
        };
    };
    let names = headers.each(loader, |item, loader| {
        let name = item.text(loader, "the name of a header")?;
        check_name(name, item, loader)?;
        Some(Box::<str>::from(name))
    })?;
    for name in names {
        if set.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(&name)) {
            return headers.refuse_as(loader, quote(&name), "each header once, in set or in remove");
        }
        set.headers.push((name, None));
    }
    Some(())
}

fn check_name(name: &str, node: &Node<'_>, loader: &mut Loader<'_>) -> Option<()> {
    if !is_token(name) {
        return node.refuse_as(loader, quote(name), "the name of a header");
    }
    if NOT_OURS_TO_CHANGE.contains(&name.to_ascii_lowercase().as_str()) {
        let found = format!("{}, which transactions, dialogs or the edge itself live by", quote(name));
        return node.refuse_as(loader, found, "another header");
    }
    Some(())
}

impl Set {
    /// Notes what leaves differently for a request that the rule holds for. `facts` are those before this rule.
    pub(crate) fn apply(
        &self,
        matcher: &Matcher,
        facts: &Facts,
        changes: &mut Changes,
    ) -> Result<(), BadHost> {
        let identity = self.identity.as_ref().map(|caller| caller.write(matcher, facts)).transpose()?;
        if let Some(host) = &self.host {
            changes.host = Some(host.write(matcher, facts)?);
        }
        match &self.user {
            Some(User::Whole(template)) => {
                changes.user = Some(template.write(Place::Uri, matcher, facts));
            }
            Some(User::Digits { strip, prepend }) => {
                let mut user = String::new();
                write_escaped(prepend.as_bytes(), Place::Uri, &mut user);
                write_escaped(facts.user().get(*strip..).unwrap_or_default(), Place::Uri, &mut user);
                changes.user = Some(user);
            }
            None => {}
        }
        for (name, value) in &self.headers {
            let value = value.as_ref().map(|template| template.write(Place::Header, matcher, facts));
            changes.headers.retain(|other| !other.name.eq_ignore_ascii_case(name));
            changes.headers.push(HeaderChange { name: name.to_string(), value });
        }
        if identity.is_some() {
            changes.identity = identity;
        }
        Ok(())
    }

    pub(crate) const fn changes_user(&self) -> bool {
        self.user.is_some()
    }

    pub(crate) const fn changes_host(&self) -> bool {
        self.host.is_some()
    }

    /// The names of the headers that it changes.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| &**name)
    }
}
