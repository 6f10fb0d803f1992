//! The tools that one agent may call, checked once and in a stable order.
//! Refuses two tools of one name, names that vendors refuse, and schemas that are none.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jsonschema::Validator;
use serde_json::Value;

use super::{Tool, ToolSpec};
use crate::{
    error::{Error, ErrorKind, Result},
    kept::Kept,
    message::ToolCall,
    schema,
};

/// The tools that one agent may call, sorted by name so that requests stay byte-stable.
#[derive(Clone)]
pub struct ToolSet {
    rows: Arc<Rows>,
    /// Not offered; who calls one all the same hears from the tool why it cannot be done.
    withheld: Arc<Rows>,
    specs: Arc<Kept<Vec<ToolSpec>>>,
}

type Rows = BTreeMap<String, Arc<Row>>;

struct Row {
    tool: Arc<dyn Tool>,
    schema: Validator,
}

impl ToolSet {
    /// Checks names and schemas.
    ///
    /// # Errors
    /// Two tools of one name, a name that vendors refuse, a schema that is none.
    pub fn new(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Result<Self> {
        let mut rows = BTreeMap::new();
        for tool in tools {
            let name = tool.spec().name.to_string();
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
                return Err(
                    Error::new(ErrorKind::Config, format!("bad tool name: `{name}`"))
                        .with_hint("use 1 to 64 letters, digits, `_` and `-`"),
                );
            }
            let schema = schema::validator(&tool.spec().schema).map_err(|error| {
                Error::new(ErrorKind::Config, format!("bad schema of tool: `{name}`"))
                    .with_hint(error.to_string())
            })?;
            let row = Arc::new(Row { tool, schema });
            if rows.insert(name.clone(), row).is_some() {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("two tools named: `{name}`"),
                ));
            }
        }
        Ok(Self::of_rows(rows, Rows::new()))
    }

    /// Those of the tools that are chosen; nothing is checked again.
    #[must_use]
    pub fn select(&self, takes: impl Fn(&ToolSpec) -> bool) -> Self {
        let mut all = self.rows.values().chain(self.withheld.values());
        if all.all(|row| takes(row.tool.spec())) {
            return self.clone();
        }
        let chosen = |rows: &Rows| {
            let chosen = rows.iter().filter(|(_, row)| takes(row.tool.spec()));
            chosen
                .map(|(name, row)| (name.clone(), row.clone()))
                .collect()
        };
        Self::of_rows(chosen(&self.rows), chosen(&self.withheld))
    }

    /// The same tools, of which some are no longer offered. A call of one of them still reaches it:
    /// it must be a tool that says by itself what is not allowed, and why.
    #[must_use]
    pub fn withhold(&self, from: impl Fn(&ToolSpec) -> bool) -> Self {
        let all = Rows::clone(&self.rows).into_iter();
        let (out, rows): (Rows, Rows) = all.partition(|(_, row)| from(row.tool.spec()));
        if out.is_empty() {
            return self.clone();
        }
        let mut withheld = Rows::clone(&self.withheld);
        withheld.extend(out);
        Self::of_rows(rows, withheld)
    }

    fn of_rows(rows: Rows, withheld: Rows) -> Self {
        let specs = rows.values().map(|row| row.tool.spec().clone());
        Self {
            specs: Arc::new(Kept::new(specs.collect())),
            rows: Arc::new(rows),
            withheld: Arc::new(withheld),
        }
    }

    /// What requests say of the tools.
    pub fn specs(&self) -> &Kept<Vec<ToolSpec>> {
        &self.specs
    }

    /// The tool of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.rows.get(name).map(|row| &row.tool)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }

    /// Whether there is no tool.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every tool, sorted by name.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        self.rows.values().map(|row| &row.tool)
    }

    /// The tool and the parsed arguments of a call, or words for the model on what is wrong.
    pub fn check(&self, call: &ToolCall) -> Result<(Arc<dyn Tool>, Value), String> {
        let Some(row) = self.row(&call.name) else {
            let names = self.names().collect::<Vec<_>>().join(", ");
            return Err(format!(
                "there is no tool `{}`; the tools are: {names}",
                call.name
            ));
        };
        if let Some(text) = &call.malformed {
            let start: String = text.chars().take(200).collect();
            return Err(format!(
                "the arguments of `{}` are not a JSON object: `{start}`; call it again with valid JSON",
                call.name
            ));
        }
        let input = serde_json::from_str(call.input.as_str())
            .map_err(|error| format!("the arguments of `{}` cannot be read: {error}", call.name))?;
        self.check_input(&call.name, row, input)
    }

    /// As [`check`](Self::check), for arguments that somebody changed.
    pub fn check_value(&self, name: &str, input: Value) -> Result<(Arc<dyn Tool>, Value), String> {
        match self.row(name) {
            Some(row) => self.check_input(name, row, input),
            None => Err(format!("there is no tool `{name}`")),
        }
    }

    fn row(&self, name: &str) -> Option<&Arc<Row>> {
        self.rows.get(name).or_else(|| self.withheld.get(name))
    }

    fn check_input(
        &self,
        name: &str,
        row: &Row,
        input: Value,
    ) -> Result<(Arc<dyn Tool>, Value), String> {
        let mut wrong = String::new();
        for error in row.schema.iter_errors(&input).take(5) {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() {
                "the arguments"
            } else {
                &place
            };
            wrong.push_str(&format!("\n- {place}: {error}"));
        }
        if wrong.is_empty() {
            Ok((row.tool.clone(), input))
        } else {
            Err(format!(
                "the arguments of `{name}` do not fit its schema:{wrong}"
            ))
        }
    }
}

impl Default for ToolSet {
    fn default() -> Self {
        Self {
            rows: Arc::default(),
            withheld: Arc::default(),
            specs: Arc::new(Kept::new(Vec::new())),
        }
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.rows.keys()).finish()
    }
}
