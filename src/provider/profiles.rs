//! Model names of your own, such as `fast` or `careful`, that stand for `vendor/name`.
//! Refuses to look into what they stand for: a name is opaque until somebody connects it.

use std::{collections::BTreeMap, sync::Arc};

use super::{Provider, connect};
use crate::error::{Error, ErrorKind, Result};

/// What the profile `default` stands for when `AGENT_MODEL` is not set.
const DEFAULT_MODEL: &str = "claude-sonnet-4-5";
/// Its output limit when `AGENT_MAX_TOKENS` is not set.
const DEFAULT_MAX_OUTPUT: u64 = 4_096;

/// Named models. Registering a name again overwrites it.
///
/// ```
/// use offshoot::provider::Profiles;
///
/// let mut profiles = Profiles::default();
/// profiles.register("fast", "anthropic/claude-haiku-4-5");
/// assert_eq!(profiles.get("fast")?.model, "anthropic/claude-haiku-4-5");
///
/// let error = profiles.get("slow").unwrap_err();
/// assert_eq!(error.hint(), Some("there is `fast`"));
/// # Ok::<(), offshoot::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    rows: BTreeMap<String, Profile>,
}

/// What a profile's name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// A name as [`connect`] takes it.
    pub model: String,
    /// At most so many output tokens; `None` for the model's own limit.
    pub max_output: Option<u64>,
}

impl Profile {
    /// This model, with its own output limit.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            max_output: None,
        }
    }

    /// With at most so many output tokens.
    #[must_use]
    pub fn with_max_output(mut self, tokens: u64) -> Self {
        self.max_output = Some(tokens);
        self
    }
}

impl From<&str> for Profile {
    fn from(model: &str) -> Self {
        Self::new(model)
    }
}

impl From<String> for Profile {
    fn from(model: String) -> Self {
        Self::new(model)
    }
}

impl Profiles {
    /// The profile `default`, from `AGENT_MODEL` (else `claude-sonnet-4-5`) and `AGENT_MAX_TOKENS`
    /// (else 4,096).
    ///
    /// # Errors
    /// When `AGENT_MAX_TOKENS` is not a whole number above 0.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(&|name| std::env::var(name).ok())
    }

    fn from_variables(variables: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
        let model = set("AGENT_MODEL").unwrap_or_else(|| DEFAULT_MODEL.into());
        let max_output = match set("AGENT_MAX_TOKENS") {
            None => DEFAULT_MAX_OUTPUT,
            Some(text) => match text.trim().parse::<u64>() {
                Ok(tokens) if tokens > 0 => tokens,
                _ => {
                    let what = format!("bad `AGENT_MAX_TOKENS`: `{text}`");
                    return Err(Error::new(ErrorKind::Config, what)
                        .with_hint("a whole number above 0, such as 4096"));
                }
            },
        };
        let mut profiles = Self::default();
        let profile = Profile::new(model.trim()).with_max_output(max_output);
        profiles.register("default", profile);
        Ok(profiles)
    }

    /// Gives a name to a model; gives back what the name stood for before.
    pub fn register(
        &mut self,
        name: impl Into<String>,
        profile: impl Into<Profile>,
    ) -> Option<Profile> {
        self.rows.insert(name.into(), profile.into())
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// When there is no such name; the hint lists those there are.
    pub fn get(&self, name: &str) -> Result<&Profile> {
        self.rows.get(name).ok_or_else(|| {
            let known = self.names().map(|name| format!("`{name}`"));
            let known = known.collect::<Vec<_>>();
            let hint = match known.as_slice() {
                [] => "none is registered".to_owned(),
                [one] => format!("there is {one}"),
                many => format!("there are {}", many.join(", ")),
            };
            Error::new(
                ErrorKind::Config,
                format!("no such model profile: `{name}`"),
            )
            .with_hint(hint)
        })
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }

    /// Opens the model a name stands for. The profile's output limit is for the caller to use.
    ///
    /// # Errors
    /// When there is no such name, or as [`connect`].
    pub fn connect(&self, name: &str) -> Result<Arc<dyn Provider>> {
        connect(&self.get(name)?.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(rows: &[(&str, &str)]) -> Result<Profiles> {
        Profiles::from_variables(&|name| {
            let row = rows.iter().find(|(key, _)| *key == name)?;
            Some(row.1.to_owned())
        })
    }

    #[test]
    fn the_default_comes_from_the_variables() {
        let plain = from(&[]).unwrap();
        let expected = Profile::new("claude-sonnet-4-5").with_max_output(4_096);
        assert_eq!(plain.get("default").unwrap(), &expected);
        let set = from(&[("AGENT_MODEL", "offline"), ("AGENT_MAX_TOKENS", "99")]).unwrap();
        assert_eq!(set.get("default").unwrap().max_output, Some(99));
        assert_eq!(
            set.connect("default").unwrap().model().full_name(),
            "offline/rules"
        );
        for bad in ["many", "0", "-1", "1.5"] {
            let error = from(&[("AGENT_MAX_TOKENS", bad)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(bad));
        }
    }

    #[test]
    fn registering_again_overwrites_and_missing_names_list_the_rest() {
        let mut profiles = Profiles::default();
        assert_eq!(
            profiles.get("x").unwrap_err().hint(),
            Some("none is registered")
        );
        assert_eq!(profiles.register("fast", "offline"), None);
        assert_eq!(
            profiles.register("fast", "gpt-5-mini"),
            Some("offline".into())
        );
        assert_eq!(profiles.get("fast").unwrap().model, "gpt-5-mini");
        profiles.register("careful", "gpt-5");
        let error = profiles.get("nope").unwrap_err();
        assert_eq!(error.to_string(), "no such model profile: `nope`");
        assert_eq!(error.hint(), Some("there are `careful`, `fast`"));
    }
}
