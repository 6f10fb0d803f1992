//! What one settings file says, as rows: rules, the mode, commands, variables.
//! Refuses to drop a rule that narrows because it is misspelled: it then speaks of the whole tool.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Settings;
use crate::{
    error::Error,
    hook::CommandHook,
    permission::{Mode, Rule},
};

/// Rules in one list of one file.
pub const MAX_RULES: usize = 1000;

/// Commands in one file.
pub const MAX_HOOKS: usize = 200;

/// Variables in one file.
pub const MAX_VARIABLES: usize = 200;

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) allow: Vec<Rule>,
    pub(super) ask: Vec<Rule>,
    pub(super) deny: Vec<Rule>,
    mode: Option<Mode>,
    hooks: Vec<CommandHook>,
    variables: Vec<(String, String)>,
}

/// Where the words about what could not be taken go.
type Wrong<'a> = &'a mut dyn FnMut(String);

impl Rows {
    pub(super) fn of(file: &Map<String, Value>, wrong: Wrong<'_>) -> Self {
        let mut rows = Self::default();
        if let Some(permissions) = map(file, "permissions", wrong) {
            rows.allow = rules(permissions, "allow", wrong);
            rows.ask = rules(permissions, "ask", wrong);
            rows.deny = rules(permissions, "deny", wrong);
            rows.mode = mode(permissions, wrong);
        }
        if let Some(hooks) = map(file, "hooks", wrong) {
            rows.hooks = commands(hooks, wrong);
        }
        if let Some(env) = map(file, "env", wrong) {
            rows.variables = variables(env, wrong);
        }
        rows
    }

    /// Lets all of it take effect, after what did before.
    pub(super) fn take_into(self, settings: &mut Settings) {
        let permissions = &mut settings.permissions;
        permissions.allow.extend(self.allow);
        permissions.ask.extend(self.ask);
        permissions.deny.extend(self.deny);
        permissions.mode = self.mode.unwrap_or(permissions.mode);
        for hook in self.hooks {
            // A command that stands in two files is meant once.
            if !settings.hooks.contains(&hook) {
                settings.hooks.push(hook);
            }
        }
        for (name, value) in self.variables {
            settings.variables.retain(|(had, _)| *had != name);
            settings.variables.push((name, value));
        }
    }

    /// What of it does more than narrow, in words.
    pub(super) fn waits(&self) -> Vec<String> {
        let counted = |n: usize, what: &str| match n {
            0 => None,
            1 => Some(format!("1 {what}")),
            n => Some(format!("{n} {what}s")),
        };
        let mode = Mode::NAMES
            .iter()
            .find(|(_, mode)| Some(*mode) == self.mode);
        [
            counted(self.hooks.len(), "hook"),
            counted(self.allow.len(), "allow rule"),
            mode.map(|(name, _)| format!("mode {name}")),
            counted(self.variables.len(), "variable"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn rules(permissions: &Map<String, Value>, key: &str, wrong: Wrong<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for item in list(permissions, key, MAX_RULES, wrong) {
        let Some(text) = item.as_str() else {
            wrong(format!(
                "a rule in `permissions.{key}` is no text: `{item}`"
            ));
            continue;
        };
        match text.parse::<Rule>() {
            Ok(rule) => rules.push(rule),
            Err(error) => {
                wrong(spoken(&error));
                let tool = text.split('(').next().unwrap_or_default();
                if key != "allow"
                    && let Ok(rule) = tool.parse()
                {
                    rules.push(rule);
                }
            }
        }
    }
    rules
}

fn mode(permissions: &Map<String, Value>, wrong: Wrong<'_>) -> Option<Mode> {
    let mode = permissions.get("defaultMode")?;
    let parsed = mode.as_str().unwrap_or_default().parse::<Mode>();
    parsed.map_err(|error| wrong(spoken(&error))).ok()
}

fn commands(hooks: &Map<String, Value>, wrong: Wrong<'_>) -> Vec<CommandHook> {
    let mut commands = Vec::new();
    for event in hooks.keys() {
        for group in list(hooks, event, MAX_HOOKS, wrong) {
            let Some(group) = group.as_object() else {
                wrong(format!("an entry of `hooks.{event}` is no object"));
                continue;
            };
            let Some(matcher) = text(group, "matcher") else {
                wrong(format!("a matcher of `hooks.{event}` is no text"));
                continue;
            };
            for row in list(group, "hooks", MAX_HOOKS, wrong) {
                match command(event, matcher, row) {
                    Ok(_) if commands.len() == MAX_HOOKS => {
                        wrong(format!("only {MAX_HOOKS} hooks of one file are taken"));
                        return commands;
                    }
                    Ok(command) => commands.push(command),
                    Err(text) => wrong(text),
                }
            }
        }
    }
    commands
}

fn command(event: &str, matcher: &str, row: &Value) -> Result<CommandHook, String> {
    let Some(row) = row.as_object() else {
        return Err(format!("a hook of `{event}` is no object"));
    };
    match text(row, "type") {
        Some("command") => {}
        Some(kind) => return Err(format!("a hook of `{event}` is no command: `{kind}`")),
        None => return Err(format!("the type of a hook of `{event}` is no text")),
    }
    let Some(line) = text(row, "command") else {
        return Err(format!("the command of a hook of `{event}` is no text"));
    };
    let command = CommandHook::new(event, matcher, line).map_err(|error| spoken(&error))?;
    match row.get("timeout") {
        None | Some(Value::Null) => Ok(command),
        Some(seconds) => seconds
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| format!("bad timeout of a hook of `{event}`: `{seconds}`"))
            .and_then(|timeout| command.timeout(timeout).map_err(|error| spoken(&error))),
    }
}

fn variables(env: &Map<String, Value>, wrong: Wrong<'_>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (name, value) in env {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => yes.to_string(),
            _ => {
                wrong(format!("the variable is no text: `{name}`"));
                continue;
            }
        };
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            wrong(format!("bad variable: `{name}`"));
        } else if variables.len() == MAX_VARIABLES {
            wrong(format!(
                "only {MAX_VARIABLES} variables of one file are taken"
            ));
            break;
        } else {
            variables.push((name.clone(), value));
        }
    }
    variables
}

fn map<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    wrong: Wrong<'_>,
) -> Option<&'a Map<String, Value>> {
    match object.get(key)? {
        Value::Null => None,
        Value::Object(map) => Some(map),
        _ => {
            wrong(format!("`{key}` is no object"));
            None
        }
    }
}

fn list<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    most: usize,
    wrong: Wrong<'_>,
) -> &'a [Value] {
    match object.get(key) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(items)) if items.len() > most => {
            wrong(format!("only {most} entries of `{key}` are taken"));
            &items[..most]
        }
        Some(Value::Array(items)) => items,
        Some(_) => {
            wrong(format!("`{key}` is no list"));
            &[]
        }
    }
}

/// A text that may be missing; `None` when it is something else.
fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    match object.get(key) {
        None | Some(Value::Null) => Some(""),
        Some(value) => value.as_str(),
    }
}

fn spoken(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}
