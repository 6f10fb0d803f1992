//! Whether a tool call may run: the mode, the rules, and the person who is asked.
//! Refuses to run anything, and never widens: a deny rule beats an ask rule beats an allow rule.

mod approvals;
mod paths;
mod pattern;
mod rulebook;

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use serde_json::Value;

pub use self::{
    approvals::{Approvals, Pending},
    paths::Paths,
    rulebook::Rulebook,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{AgentPath, CallId},
    spec::{Access, ToolSpec},
};

/// How much an agent may do unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Ask before a tool edits or acts.
    #[default]
    Ask,
    /// Ask before a tool acts; edits are fine.
    AcceptEdits,
    /// Only look: edits and acts are denied.
    Plan,
    /// Ask nothing. Deny rules still hold.
    Bypass,
}

impl Mode {
    /// All modes by the names that settings and the command line use.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("ask", Self::Ask),
        ("accept-edits", Self::AcceptEdits),
        ("plan", Self::Plan),
        ("bypass", Self::Bypass),
    ];
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The second spellings are those of Claude Code's settings.
        match text {
            "default" => return Ok(Self::Ask),
            "acceptEdits" => return Ok(Self::AcceptEdits),
            "bypassPermissions" => return Ok(Self::Bypass),
            _ => {}
        }
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!("unknown permission mode: `{text}`"),
            )
            .with_hint("use ask, accept-edits, plan or bypass")
        })
    }
}

/// What happens to a call that somebody should be asked about, when no [`Asker`] is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unasked {
    /// It runs: the program that built the agent also chose its tools.
    #[default]
    Allow,
    /// It is denied.
    Deny,
    /// It waits for `SessionHandle::answer`; the question is an `approval` event.
    Wait,
}

/// One rule: a tool, or a tool and a pattern for its subject, such as `Bash(git *)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    tool: String,
    pattern: Option<String>,
}

impl Rule {
    /// Whether this rule speaks of a call.
    pub fn matches(&self, tool: &str, subject: Option<&str>) -> bool {
        if self.tool != "*" && self.tool != tool {
            return false;
        }
        match (&self.pattern, subject) {
            (None, _) => true,
            (Some(pattern), Some(subject)) => fits(pattern, subject),
            (Some(_), None) => false,
        }
    }

    /// Whether this rule holds a call back: one name of its subject is enough. A path may stand in
    /// the pattern with `./`, since nobody who denies `./secret/*` means to allow `secret/*`.
    fn hits_any(&self, tool: &str, subjects: &[String]) -> bool {
        let bare = || Self {
            tool: self.tool.clone(),
            pattern: self
                .pattern
                .as_ref()
                .map(|p| p.trim_start_matches("./").to_owned()),
        };
        let hit = |rule: &Self| {
            subjects
                .iter()
                .any(|subject| rule.matches(tool, Some(subject)))
        };
        self.matches(tool, None) || hit(self) || hit(&bare())
    }

    /// Whether this rule lets a call through: it must match every name of its subject.
    fn hits_all(&self, tool: &str, subjects: &[String]) -> bool {
        let each = || {
            subjects
                .iter()
                .all(|subject| self.matches(tool, Some(subject)))
        };
        self.matches(tool, None) || !subjects.is_empty() && each()
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(ErrorKind::Config, format!("bad permission rule: `{text}`"))
                .with_hint("write a tool such as `Read`, or `Bash(git *)` with a pattern")
        };
        let text = text.trim();
        let (tool, pattern) = match text.split_once('(') {
            None => (text, None),
            Some((tool, rest)) => (tool, Some(rest.strip_suffix(')').ok_or_else(bad)?)),
        };
        if tool.is_empty() || tool.contains([')', ' ']) {
            return Err(bad());
        }
        Ok(Self {
            tool: tool.to_owned(),
            pattern: pattern.map(str::to_owned),
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pattern {
            None => f.write_str(&self.tool),
            Some(pattern) => write!(f, "{}({pattern})", self.tool),
        }
    }
}

/// `Bash(git:*)` is an older spelling for the command `git` alone and `git *`: it ends at a word.
fn fits(pattern: &str, subject: &str) -> bool {
    let Some(start) = pattern.strip_suffix(":*") else {
        return wildcard(pattern.as_bytes(), subject.as_bytes());
    };
    let more = format!("{start} *");
    wildcard(start.as_bytes(), subject.as_bytes()) || wildcard(more.as_bytes(), subject.as_bytes())
}

/// `*` stands for any run of characters. Linear in the text, whatever the pattern.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            p += 1;
            retry = Some((p, t));
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((after_star, from)) = retry {
            p = after_star;
            t = from + 1;
            retry = Some((after_star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// The mode and the rules of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// What happens where no rule speaks.
    pub mode: Mode,
    /// Calls that run unasked.
    pub allow: Vec<Rule>,
    /// Calls that are asked about even where the mode would not.
    pub ask: Vec<Rule>,
    /// Calls that never run.
    pub deny: Vec<Rule>,
    /// What happens to a question when nobody is there to ask.
    pub unasked: Unasked,
    /// Which files may be reached; `None` for the whole workspace.
    pub paths: Option<Paths>,
}

/// What the rules say of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ruling {
    /// It runs.
    Allow,
    /// A person decides.
    Ask(String),
    /// It does not run.
    Deny(String),
}

impl Ruling {
    /// The narrower of two rulings.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (deny @ Self::Deny(_), _) | (_, deny @ Self::Deny(_)) => deny,
            (ask @ Self::Ask(_), _) | (_, ask @ Self::Ask(_)) => ask,
            (Self::Allow, Self::Allow) => Self::Allow,
        }
    }
}

impl Permissions {
    /// Everything may run: what stands above a root, which then narrows it.
    pub fn unrestricted() -> Self {
        Self {
            mode: Mode::Bypass,
            ..Self::default()
        }
    }

    /// Everything may run that reaches no other files.
    pub fn within(paths: Paths) -> Self {
        Self {
            paths: Some(paths),
            ..Self::unrestricted()
        }
    }

    /// What the rules say of a call, by the argument that the spec names. The engine asks the tool
    /// itself, which knows other spellings of the same thing: see [`rule_on`](Self::rule_on).
    pub fn rule(&self, spec: &ToolSpec, input: &Value) -> Ruling {
        self.rule_on(spec, &spec.subjects(input))
    }

    /// What the rules say of a call on these subjects, which are names of one thing: see
    /// `Tool::subjects`.
    pub fn rule_on(&self, spec: &ToolSpec, subjects: &[String]) -> Ruling {
        let hit = |rules: &[Rule]| {
            let mut rules = rules.iter();
            let found = rules.find(|rule| rule.hits_any(&spec.name, subjects));
            found.map(ToString::to_string)
        };
        if let Some(rule) = hit(&self.deny) {
            return Ruling::Deny(format!("the rule `{rule}` denies it"));
        }
        if let Some(paths) = &self.paths
            && !paths.admits(spec.reach, subjects)
        {
            return Ruling::Deny(paths.refusal(spec.reach));
        }
        if self.mode == Mode::Plan && spec.access != Access::Reads {
            return Ruling::Deny("plan mode only looks".into());
        }
        if self.mode == Mode::Bypass {
            return Ruling::Allow;
        }
        if let Some(rule) = hit(&self.ask) {
            return Ruling::Ask(format!("the rule `{rule}` asks"));
        }
        if self
            .allow
            .iter()
            .any(|rule| rule.hits_all(&spec.name, subjects))
        {
            return Ruling::Allow;
        }
        match (spec.access, self.mode) {
            (Access::Reads, _) | (Access::Edits, Mode::AcceptEdits) => Ruling::Allow,
            (Access::Edits, _) => Ruling::Ask(format!("`{}` changes files", spec.name)),
            (Access::Acts, _) => Ruling::Ask(format!("`{}` acts", spec.name)),
        }
    }
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// Answer with this.
    pub id: String,
    /// Which agent asks.
    pub agent: AgentPath,
    /// Which call.
    pub call: CallId,
    /// Which tool.
    pub tool: String,
    /// The arguments it would be given.
    pub input: Value,
    /// Why it asks.
    pub reason: String,
}

/// A person's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Run it.
    Allow,
    /// Run it with these arguments instead.
    AllowWith(Value),
    /// Do not run it, and tell the model why.
    Deny(String),
}

/// Somebody who can be asked. Called by the engine for each [`Ruling::Ask`], one call at a time for
/// each tool call; the wait ends when the turn is cancelled. Must not answer for more than the one
/// question: the tempting mistake is to remember a yes for other arguments.
#[async_trait]
pub trait Asker: Send + Sync + 'static {
    /// Asks and waits. A panic or an error counts as no.
    ///
    /// Cancel safety: dropped when the turn is cancelled.
    async fn ask(&self, question: Question) -> Answer;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_parsed_and_matched() {
        let table = [
            ("Read", "Read", None, true),
            ("Read", "Write", None, false),
            ("*", "Write", None, true),
            ("Bash(git *)", "Bash", Some("git status"), true),
            ("Bash(git *)", "Bash", Some("gitx"), false),
            ("Bash(git:*)", "Bash", Some("git status"), true),
            ("Bash(git *)", "Bash", None, false),
            ("Read(*.rs)", "Read", Some("src/a.rs"), true),
            ("Read(a*b*c)", "Read", Some("aXbXbc"), true),
            ("Read(a*b*c)", "Read", Some("aXbXb"), false),
        ];
        for (rule, tool, subject, hit) in table {
            let parsed: Rule = rule.parse().unwrap();
            assert_eq!(
                parsed.matches(tool, subject),
                hit,
                "{rule} {tool} {subject:?}"
            );
        }
        for bad in ["", "Bash(git", "(x)", "a b"] {
            assert!(bad.parse::<Rule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn deny_beats_everything() {
        let spec = ToolSpec::new("Bash", "", Value::Null).subject("command");
        let input = serde_json::json!({"command": "rm -rf /"});
        let all = Permissions {
            mode: Mode::Bypass,
            allow: vec!["Bash".parse().unwrap()],
            deny: vec!["Bash(rm *)".parse().unwrap()],
            ..Permissions::default()
        };
        assert!(matches!(all.rule(&spec, &input), Ruling::Deny(_)));
        let ok = serde_json::json!({"command": "ls"});
        assert_eq!(all.rule(&spec, &ok), Ruling::Allow);
    }

    #[test]
    fn the_mode_table() {
        let tool = |access| ToolSpec::new("t", "", Value::Null).access(access);
        let table = [
            (Mode::Ask, Access::Reads, "allow"),
            (Mode::Ask, Access::Edits, "ask"),
            (Mode::Ask, Access::Acts, "ask"),
            (Mode::AcceptEdits, Access::Edits, "allow"),
            (Mode::AcceptEdits, Access::Acts, "ask"),
            (Mode::Plan, Access::Reads, "allow"),
            (Mode::Plan, Access::Edits, "deny"),
            (Mode::Plan, Access::Acts, "deny"),
            (Mode::Bypass, Access::Acts, "allow"),
        ];
        for (mode, access, expected) in table {
            let permissions = Permissions {
                mode,
                ..Permissions::default()
            };
            let got = match permissions.rule(&tool(access), &Value::Null) {
                Ruling::Allow => "allow",
                Ruling::Ask(_) => "ask",
                Ruling::Deny(_) => "deny",
            };
            assert_eq!(got, expected, "{mode:?} {access:?}");
        }
    }
}
