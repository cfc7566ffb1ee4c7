//! Whose name a caller of the public zone calls under: FreeSWITCH accepts any From from whoever knows one
//! password, so the edge looks.
//!
//! A name is the caller's own when it is registered over the very flow of the request, or when the request
//! carries credentials of that user: the member verifies them, and refuses the call if they are not good.

use crate::config::CallerIdentity;
use crate::count::Count;
use crate::flow::Zone;
use crate::proxy::core::Core;
use crate::proxy::hop::Answer;
use crate::proxy::incoming::Incoming;
use crate::proxy::settings::Settings;
use crate::sip::Method;
use crate::wire::{Digest, Edits, HeaderName, Message, NameAddr, Uri};

/// What From becomes; `None`: it stays as it is.
pub(crate) type NewFrom = Option<Box<[u8]>>;

impl Core {
    /// Judge From of a request that begins a dialog.
    ///
    /// # Errors
    /// The answer to a caller under somebody else's name, or of no name that we know.
    pub(super) fn caller_identity(
        &self,
        incoming: &Incoming<'_>,
        settings: &Settings,
    ) -> Result<NewFrom, Answer> {
        let rule = settings.config.admission.caller_identity;
        if rule == CallerIdentity::AsIs || incoming.upstream.zone != Zone::Public || !begins_dialog(incoming)
        {
            return Ok(None);
        }
        let flow = &incoming.upstream.flow;
        if self.directory.is_registered_over(flow, incoming.caller_aor(settings))
            || has_credentials_of_caller(incoming)
        {
            return Ok(None);
        }
        let own = (rule == CallerIdentity::Replace).then(|| self.directory.name_over(flow)).flatten();
        own.map(Some).ok_or(Answer {
            status: 403,
            reason: Some("From Is Not The Caller's".into()),
            retry_after: None,
            count: Some(Count::CallerIdentity),
        })
    }
}

fn begins_dialog(incoming: &Incoming<'_>) -> bool {
    let begins = matches!(incoming.method, Some(Method::Invite | Method::Subscribe | Method::Refer));
    begins && !incoming.is_in_dialog()
}

/// `username` is the user of From, alone or with its domain.
fn has_credentials_of_caller(incoming: &Incoming<'_>) -> bool {
    let message = &incoming.message;
    let from = NameAddr::parse(message.value(HeaderName::From)).ok();
    let Some(uri) = from.and_then(|from| Uri::parse(from.uri).ok()) else { return false };
    let Some(user) = uri.user.filter(|user| !user.is_empty()) else { return false };
    let headers = [HeaderName::ProxyAuthorization, HeaderName::Authorization];
    headers.into_iter().flat_map(|name| message.all(name)).any(|header| {
        let username = Digest::parse(header.value).ok().and_then(|digest| digest.get("username"));
        username.is_some_and(|username| match username.strip_prefix(user) {
            Some([]) => true,
            Some([b'@', domain @ ..]) => domain.eq_ignore_ascii_case(uri.host),
            _ => false,
        })
    })
}

/// Write another URI into From. The display name goes with the name it stood for; tag and parameters stay.
pub(crate) fn replace_from(message: &Message<'_>, uri: &[u8], edits: &mut Edits) {
    let Some(header) = message.first(HeaderName::From) else { return };
    let Ok(address) = NameAddr::parse(header.value) else { return };
    let start = header.value_range().start;
    edits.replace_with(start..start + address.params_range.start, |out| {
        out.push(b'<');
        out.extend_from_slice(uri);
        out.push(b'>');
    });
}

/// Give From of an answer back to the caller as it wrote it.
pub(crate) fn restore_from(request: &Message<'_>, response: &Message<'_>, edits: &mut Edits) {
    let (sent, Some(header)) = (request.value(HeaderName::From), response.first(HeaderName::From)) else {
        return;
    };
    if header.value != sent {
        edits.replace(header.value_range(), sent);
    }
}
