//! Where a vendor is reached, and with which key.
//! Refuses to show the key: not in Debug, not in an error, never in a URL.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::error::{Error, ErrorKind, Result};

/// What a vendor's folder knows of its own door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    /// The vendor's name, for messages.
    pub(crate) vendor: &'static str,
    /// Where it is reached when nobody says otherwise.
    pub(crate) base_url: &'static str,
    /// The variables that may hold the key, the first that is set wins.
    pub(crate) key_variables: &'static [&'static str],
    /// The variable that may hold another base URL.
    pub(crate) base_variable: &'static str,
}

/// What the user said of the door; nothing is checked before [`Entry::open`].
#[derive(Clone, Default)]
pub(crate) struct Entry {
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<String>,
}

/// A checked address and key.
#[derive(Clone)]
pub(crate) struct Endpoint {
    base_url: String,
    key: Option<String>,
}

impl Entry {
    /// Takes what the environment says, through `get` so that tests need no environment.
    /// An empty variable counts as unset.
    pub(crate) fn from_env(door: &Door, get: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &&str| get(name).filter(|value| !value.trim().is_empty());
        Self {
            base_url: set(&door.base_variable),
            api_key: door.key_variables.iter().find_map(set),
        }
    }

    /// Checks everything once.
    ///
    /// Without a key only an explicitly given other host is accepted: local servers and gateways
    /// often want none, the vendor itself always does.
    pub(crate) fn open(self, door: &Door) -> Result<Endpoint> {
        let given = self.base_url.as_deref().map(str::trim);
        let base_url = given.unwrap_or(door.base_url).trim_end_matches('/');
        let rest = base_url
            .strip_prefix("https://")
            .or_else(|| base_url.strip_prefix("http://"));
        if rest.is_none_or(|rest| host(rest).is_empty() || rest.contains(char::is_whitespace)) {
            let shown = without_userinfo(base_url);
            return Err(
                Error::new(ErrorKind::Config, format!("not a base URL: `{shown}`"))
                    .with_hint("a base URL looks like `https://host` or `http://127.0.0.1:8080`"),
            );
        }
        let key = self.api_key.map(|key| key.trim().to_owned());
        let key = key.filter(|key| !key.is_empty());
        let variables = door.key_variables.join(" or ");
        match &key {
            Some(key) if !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                let message = format!("the {} key has characters that no key has", door.vendor);
                return Err(Error::new(ErrorKind::Auth, message).with_hint(format!(
                    "look at {variables}: only the key itself belongs there"
                )));
            }
            None if is_vendor(base_url, door) => {
                let message = format!("no key for {}", door.vendor);
                return Err(Error::new(ErrorKind::Auth, message)
                    .with_hint(format!("set {variables}, or give the builder an api_key")));
            }
            _ => {}
        }
        let base_url = base_url.to_owned();
        Ok(Endpoint { base_url, key })
    }
}

impl Endpoint {
    /// The base URL, without a slash at its end.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The key, for a header and nothing else.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whose limits requests count against: the same for the same key.
    pub(crate) fn account(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.key.hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base_url = self.base_url.as_deref().map(without_userinfo);
        f.debug_struct("Entry")
            .field("base_url", &base_url)
            .field("api_key", &self.api_key.as_ref().map(|_| "hidden"))
            .finish()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("base_url", &without_userinfo(&self.base_url))
            .field("key", &self.key.as_ref().map(|_| "hidden"))
            .finish()
    }
}

/// The host of an address whose scheme is cut off already.
fn host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_vendor(base_url: &str, door: &Door) -> bool {
    let bare = |url: &str| {
        url.split_once("://")
            .map(|(_, rest)| host(rest).to_ascii_lowercase())
    };
    bare(base_url) == bare(door.base_url)
}

/// The address as people may see it: a password in it stays hidden.
fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://…{}", &rest[at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOOR: Door = Door {
        vendor: "Acme",
        base_url: "https://api.acme.test",
        key_variables: &["ACME_KEY", "OLD_ACME_KEY"],
        base_variable: "ACME_URL",
    };

    fn entry(base_url: Option<&str>, api_key: Option<&str>) -> Entry {
        Entry {
            base_url: base_url.map(str::to_owned),
            api_key: api_key.map(str::to_owned),
        }
    }

    #[test]
    fn a_key_is_wanted_by_the_vendor_and_optional_elsewhere() {
        let error = entry(None, None).open(&DOOR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(error.hint().unwrap().contains("ACME_KEY or OLD_ACME_KEY"));
        for own in ["https://API.acme.test/", "https://api.acme.test:443/x"] {
            let error = entry(Some(own), Some(" ")).open(&DOOR).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Auth, "{own}");
        }
        for other in [
            "http://127.0.0.1:9/",
            "http://[::1]:9",
            "https://gateway.test/v1",
        ] {
            let endpoint = entry(Some(other), None).open(&DOOR).unwrap();
            assert_eq!(endpoint.base_url(), other.trim_end_matches('/'));
            assert_eq!(endpoint.key(), None);
        }
    }

    #[test]
    fn wrong_settings_are_named_and_keys_never_shown() {
        for bad in ["", "api.acme.test", "ftp://x", "https://", "http://a b"] {
            let error = entry(Some(bad), Some("k")).open(&DOOR).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
        }
        let error = entry(None, Some("se\ncret")).open(&DOOR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(!format!("{error:?} {error}").contains("cret"));
        let entry = entry(Some("https://me:secret@x.test/p"), Some("secret"));
        let shown = format!("{entry:?} {:?}", entry.clone().open(&DOOR).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("x.test/p"), "{shown}");
    }

    #[test]
    fn the_environment_is_read_in_order_and_empty_is_unset() {
        let entry = Entry::from_env(&DOOR, |name| match name {
            "ACME_KEY" => Some(String::new()),
            "OLD_ACME_KEY" => Some("old".into()),
            _ => None,
        });
        assert_eq!(entry.api_key.as_deref(), Some("old"));
        assert_eq!(entry.base_url, None);
    }

    #[test]
    fn an_account_is_its_key() {
        let account = |key| entry(None, Some(key)).open(&DOOR).unwrap().account();
        assert_eq!(account("a"), account(" a "));
        assert_ne!(account("a"), account("b"));
    }
}
