//! Which variables the programs see that are started for an agent: those let through, those set.
//! Refuses to read this process's environment and to set anything in it.

use std::{collections::BTreeSet, fmt, sync::Arc};

/// Which variables the programs see that are started for an agent. Cheap to clone.
///
/// It is handed down from agent to agent and only ever narrowed on the way. It speaks of programs
/// alone: nothing in it changes what this process itself was told, such as a vendor's address.
///
/// ```
/// use offshoot::Environment;
///
/// let root = Environment::inherited().with([("CI".to_owned(), "1".to_owned())]);
/// let child = root.narrowed(["PATH", "CI"]).narrowed(["CI", "HOME"]);
/// assert!(child.lets("CI") && !child.lets("PATH") && !child.lets("HOME"));
/// assert_eq!(child.set().collect::<Vec<_>>(), [("CI", "1")]);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `None`: every name.
    only: Option<Arc<BTreeSet<String>>>,
    set: Arc<[(String, String)]>,
}

impl Environment {
    /// Whatever this process has.
    pub fn inherited() -> Self {
        Self::default()
    }

    /// With these variables set as well; of one name the last counts.
    #[must_use]
    pub fn with(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let more: Vec<_> = variables.into_iter().collect();
        if !more.is_empty() {
            self.set = self.set.iter().cloned().chain(more).collect();
        }
        self
    }

    /// Only those of these names that are let through here.
    #[must_use]
    pub fn narrowed<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into);
        let only = names.filter(|name| self.lets(name)).collect();
        Self {
            only: Some(Arc::new(only)),
            set: self.set.clone(),
        }
    }

    /// Whether a variable of this name is let through.
    pub fn lets(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(name))
    }

    /// The names that are let through; `None` for all.
    pub fn names(&self) -> Option<impl Iterator<Item = &str>> {
        let only = self.only.as_ref()?;
        Some(only.iter().map(String::as_str))
    }

    /// The variables that are set, as far as they are let through.
    pub fn set(&self) -> impl Iterator<Item = (&str, &str)> {
        let set = self.set.iter().filter(|(name, _)| self.lets(name));
        set.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Of variables that are set only the names: the values are often keys.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<_> = self.set.iter().map(|(name, _)| name).collect();
        f.debug_struct("Environment")
            .field("only", &self.only)
            .field("set", &set)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn it_is_only_ever_narrowed_and_says_no_values() {
        let root = Environment::inherited().with(vars(&[("A", "1"), ("B", "2"), ("A", "3")]));
        assert!(root.names().is_none() && root.lets("ANY"));
        let set = |of: &Environment| of.set().last().map(|(n, v)| format!("{n}={v}"));
        assert_eq!(set(&root).as_deref(), Some("A=3"), "the last one counts");
        let none = root.narrowed([""; 0]);
        assert_eq!((none.names().unwrap().count(), none.set().count()), (0, 0));
        let wide = none.narrowed(["A", "B"]);
        assert_eq!(wide, none, "what is gone does not come back");
        // What is set below is held to the same names.
        let late = root.narrowed(["B"]).with(vars(&[("A", "4")]));
        assert_eq!(late.set().collect::<Vec<_>>(), [("B", "2")]);
        let shown = format!("{root:?}");
        assert!(shown.contains('A') && !shown.contains('3'), "{shown}");
    }
}
