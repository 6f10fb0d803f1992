//! How a child differs from the agent that opens it.
//! Refuses to add: tools are chosen among the parent's, rules come on top of the parent's.

use std::{borrow::Cow, sync::Arc};

use crate::{
    permission::Permissions,
    provider::Provider,
    spec::{Access, ToolSpec},
};

/// How a child differs from the agent that opens it. Whatever is not said stays as the parent's.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Shape {
    /// Its system prompt; `None` for the parent's.
    pub system: Option<Cow<'static, str>>,
    /// Which of the parent's tools it may call.
    pub tools: Selection,
    /// Which model answers; `None` for the parent's models.
    pub model: Option<Arc<dyn Provider>>,
    /// Rules on top of the parent's.
    pub permissions: Option<Permissions>,
    /// Model calls of its turn; `None` for the parent's number.
    pub max_steps: Option<u64>,
}

/// Which of a parent's tools a child may call. By default all of them; each word narrows.
///
/// ```
/// use offshoot::{Selection, ToolSpec};
///
/// let read = ToolSpec::new("Read", "Reads a file", serde_json::json!({"type": "object"})).reads();
/// let write = ToolSpec::new("Write", "Writes a file", serde_json::json!({"type": "object"}));
/// let looking = Selection::default().reading();
/// assert!(looking.takes(&read) && !looking.takes(&write));
/// assert!(!looking.without(["Read"]).takes(&read));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    only: Option<Vec<Cow<'static, str>>>,
    without: Vec<Cow<'static, str>>,
    withheld: Vec<Cow<'static, str>>,
    reach: Reach,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reach {
    #[default]
    Everything,
    Reading,
}

impl Selection {
    /// Only tools of these names, as far as the parent has them.
    #[must_use]
    pub fn only<N: Into<Cow<'static, str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.only = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// No tool of these names.
    #[must_use]
    pub fn without<N: Into<Cow<'static, str>>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.without.extend(names.into_iter().map(Into::into));
        self
    }

    /// Tools of these names, where they are chosen, are not offered to the model. One that calls
    /// them all the same is answered by the tool, which knows why it cannot be done.
    #[must_use]
    pub fn withholding<N: Into<Cow<'static, str>>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.withheld.extend(names.into_iter().map(Into::into));
        self
    }

    /// Only tools that look and change nothing.
    #[must_use]
    pub fn reading(mut self) -> Self {
        self.reach = Reach::Reading;
        self
    }

    /// Whether a tool that is chosen is also offered to the model.
    pub fn offers(&self, spec: &ToolSpec) -> bool {
        !self.withheld.contains(&spec.name)
    }

    /// Whether a tool is chosen.
    pub fn takes(&self, spec: &ToolSpec) -> bool {
        let named = |names: &[Cow<'static, str>]| names.contains(&spec.name);
        self.only.as_deref().is_none_or(named)
            && !named(&self.without)
            && (self.reach == Reach::Everything || spec.access == Access::Reads)
    }
}
