//! Which tools to call next for a task, from what has been seen so far.
//! Refuses to call twice: a question of this turn that has any answer, even an error, is settled.

use serde_json::{Value, json};

use super::{
    commands, crew, facts,
    reading::{self, Seen},
    rules::{Task, What},
};
use crate::spec::ToolSpec;

/// The tools that the rules know how to use.
pub(super) const TOOLS: [&str; 4] = ["LS", "Glob", "Grep", "Read"];
/// Lines that are read of a file which describes the folder.
const DESCRIBING_LINES: u64 = 120;
/// Lines that are shown of a search.
const SHOWN_MATCHES: u64 = 20;
/// How often a question is asked whose answer was cleared to make room.
const MAX_TIMES: usize = 2;

/// One question to one tool.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    /// Which tool.
    pub(super) tool: &'static str,
    /// Its arguments.
    pub(super) input: Value,
}

impl Ask {
    /// The entries of a folder, and what is below it in figures.
    pub(super) fn list(path: &str) -> Self {
        let input = json!({ "path": path });
        Self { tool: "LS", input }
    }

    /// The files whose path fits.
    pub(super) fn glob(pattern: &str, path: &str) -> Self {
        let mut input = json!({ "pattern": pattern });
        put_path(&mut input, path);
        Self {
            tool: "Glob",
            input,
        }
    }

    /// How many lines fit, file by file.
    pub(super) fn count(pattern: &str, path: &str) -> Self {
        let mut input = json!({ "pattern": pattern, "output_mode": "count" });
        put_path(&mut input, path);
        Self {
            tool: "Grep",
            input,
        }
    }

    /// How many lines there are: every line has one beginning.
    pub(super) fn lines(path: &str) -> Self {
        Self::count("^", path)
    }

    /// How many lines the files have that end like this.
    pub(super) fn lines_of(ending: &str, path: &str) -> Self {
        let mut ask = Self::lines(path);
        ask.input["glob"] = json!(format!("*.{ending}"));
        ask
    }

    /// How many lines the files have that lie directly in a folder.
    pub(super) fn lines_beside(path: &str) -> Self {
        let mut ask = Self::lines(path);
        ask.input["glob"] = json!("!*/**");
        ask
    }

    /// The first lines that fit.
    pub(super) fn search(pattern: &str, path: &str) -> Self {
        let mut input =
            json!({ "pattern": pattern, "output_mode": "content", "head_limit": SHOWN_MATCHES });
        put_path(&mut input, path);
        Self {
            tool: "Grep",
            input,
        }
    }

    /// The text of a file. `from` counts lines from 1.
    pub(super) fn read(file: &str, from: Option<u64>, count: Option<u64>) -> Self {
        let mut input = json!({ "file_path": file });
        if let Some(from) = from {
            input["offset"] = json!(from);
        }
        if let Some(count) = count {
            input["limit"] = json!(count);
        }
        Self {
            tool: "Read",
            input,
        }
    }

    /// The beginning of a file that describes a folder.
    pub(super) fn describing(file: &str) -> Self {
        Self::read(file, None, Some(DESCRIBING_LINES))
    }
}

fn put_path(input: &mut Value, path: &str) {
    if path != "." {
        input["path"] = json!(path);
    }
}

/// What can be asked, and what has been answered.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// The answered calls.
    pub(super) seen: &'a [Seen],
    /// The tools of this agent.
    pub(super) tools: &'a [ToolSpec],
    /// Whether results from before the user's last message count.
    pub(super) reuse: bool,
    /// Whether sub-folders are surveyed by helpers.
    pub(super) helpers: Option<Helpers>,
}

/// What there is to know of helpers: agents below this one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Helpers {
    /// So many of them may be at work at once.
    AtOnce(usize),
    /// They were at work, and what they said was cleared to make room.
    Lost,
}

impl View<'_> {
    /// The answer to a question, if it was asked.
    pub(super) fn find(&self, ask: &Ask) -> Option<&Seen> {
        let mut seen = self.seen.iter().rev();
        seen.find(|seen| self.counts(seen) && seen.answers(ask))
    }

    /// All answers to a question, oldest first.
    pub(super) fn all(&self, ask: &Ask) -> Vec<&Seen> {
        let seen = self.seen.iter();
        let answers = |seen: &&Seen| self.counts(seen) && seen.answers(ask);
        seen.filter(answers).collect()
    }

    fn counts(&self, seen: &Seen) -> bool {
        seen.fresh || (self.reuse && is_usable(seen))
    }

    /// The text of a good answer to a question.
    pub(super) fn text(&self, ask: &Ask) -> Option<&str> {
        let seen = self.find(ask).filter(|seen| is_usable(seen))?;
        Some(&seen.text)
    }

    /// Whether this agent offers a tool that takes such arguments.
    pub(super) fn offers(&self, ask: &Ask) -> bool {
        self.tools.iter().any(|spec| {
            let takes = |name: &String| spec.schema["properties"].get(name).is_some();
            let mut names = ask
                .input
                .as_object()
                .into_iter()
                .flat_map(|input| input.keys());
            spec.name == ask.tool && names.all(takes)
        })
    }

    /// Whether there is no use in asking.
    fn is_settled(&self, ask: &Ask) -> bool {
        match self.find(ask) {
            None => false,
            // Many helpers say much: what was cleared because of them may be asked once more.
            Some(seen) if self.helpers.is_some() && is_cleared(seen) => {
                self.all(ask).len() >= MAX_TIMES
            }
            Some(_) => true,
        }
    }

    /// Those of the questions that can be asked and have not been.
    pub(super) fn open(&self, asks: Vec<Ask>) -> Vec<Ask> {
        let mut out: Vec<Ask> = Vec::new();
        for ask in asks {
            if !self.is_settled(&ask) && self.offers(&ask) && !out.contains(&ask) {
                out.push(ask);
            }
        }
        out
    }
}

fn is_usable(seen: &Seen) -> bool {
    !seen.outcome.is_error() && !is_cleared(seen)
}

/// Old results may have been cleared to make room; then there is nothing to read in them.
pub(super) fn is_cleared(seen: &Seen) -> bool {
    seen.text.starts_with("[Old tool result")
}

/// Calls to make now, with the words that announce them.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    /// What to say first.
    pub(super) say: String,
    /// What to ask, all at once.
    pub(super) asks: Vec<Ask>,
}

/// The next step of a task; `None` when everything that can be known is known.
pub(super) fn next(task: &Task, view: &View<'_>) -> Option<Step> {
    let mut stages: Vec<(String, Vec<Ask>)> = Vec::new();
    match task {
        Task::Survey { path } if view.helpers.is_some() => return crew::next(path, view),
        Task::Survey { path } | Task::Report { path } => return alone(path, view),
        Task::Command(command) => return commands::next(command, view),
        Task::Measure { what, path } => {
            stages.push((
                format!("I will measure {}.\n", named(path)),
                measure(what, path),
            ));
            if *what == What::Kinds {
                let say = "There are more files than the list shows, so I count kind by kind.\n";
                stages.push((say.into(), facts::kind_asks(path, view)));
            }
        }
        Task::List { path } => {
            stages.push((
                format!("I will list {}.\n", named(path)),
                vec![Ask::list(path)],
            ));
        }
        Task::Find { glob, path } => stages.push((
            format!("I will look for files that match `{glob}`.\n"),
            vec![Ask::glob(glob, path)],
        )),
        Task::Search {
            pattern,
            said,
            path,
        } => stages.push((
            format!("I will search {} for `{said}`.\n", named(path)),
            vec![Ask::count(pattern, path), Ask::search(pattern, path)],
        )),
        Task::Show { file, from, count } => {
            let first = Ask::read(file, *from, *count);
            stages.push((format!("I will read `{file}`.\n"), vec![first.clone()]));
            if view
                .find(&first)
                .is_some_and(|seen| seen.outcome.is_error())
            {
                let elsewhere = elsewhere(file);
                let found = view.text(&elsewhere).map(reading::paths);
                stages.push((
                    "There it is not; I will look for a file of that name.\n".into(),
                    vec![elsewhere],
                ));
                if let Some([only]) = found.as_ref().map(|paths| paths.shown.as_slice()) {
                    let again = Ask::read(only, *from, *count);
                    stages.push((format!("I found `{only}` and read it.\n"), vec![again]));
                }
            }
        }
    }
    first(stages, view)
}

/// The next step of a survey without helpers.
pub(super) fn alone(path: &str, view: &View<'_>) -> Option<Step> {
    let say = format!(
        "I will survey {}: first list it, find its files and count its lines, then read what \
         describes it.\n",
        named(path)
    );
    first(vec![(say, overview(path)), details(path, view)], view)
}

/// The first of these steps in which there is anything to ask.
pub(super) fn first(stages: Vec<(String, Vec<Ask>)>, view: &View<'_>) -> Option<Step> {
    stages.into_iter().find_map(|(say, asks)| {
        let asks = view.open(asks);
        (!asks.is_empty()).then_some(Step { say, asks })
    })
}

/// What tells most of a folder at once.
pub(super) fn overview(path: &str) -> Vec<Ask> {
    vec![Ask::list(path), Ask::glob("**/*", path), Ask::lines(path)]
}

/// What is worth asking once the overview is there.
pub(super) fn details(path: &str, view: &View<'_>) -> (String, Vec<Ask>) {
    let files = facts::describing(path, view);
    let kinds = facts::kind_asks(path, view);
    let names = files
        .iter()
        .map(|file| format!("`{}`", file.name))
        .collect::<Vec<_>>();
    let say = match (names.is_empty(), kinds.is_empty()) {
        (false, true) => format!("Next I read {}.\n", names.join(", ")),
        (false, false) => format!("Next I read {} and count kind by kind.\n", names.join(", ")),
        _ => "Next I count kind by kind.\n".to_owned(),
    };
    let reads = files.iter().map(|file| Ask::describing(&file.path));
    (say, reads.chain(kinds).collect())
}

/// Every question that a figure may need.
pub(super) fn measure(what: &What, path: &str) -> Vec<Ask> {
    match what {
        What::Files | What::Folders | What::Bytes => vec![Ask::list(path)],
        What::Kind(ending) => vec![Ask::glob(&format!("**/*.{ending}"), path)],
        What::Lines => vec![Ask::lines(path)],
        What::KindLines(ending) => vec![Ask::lines_of(ending, path)],
        What::Size | What::Largest => vec![Ask::list(path), Ask::lines(path)],
        What::Kinds => vec![Ask::glob("**/*", path)],
    }
}

/// The search for a file that is not where it was said to be.
pub(super) fn elsewhere(file: &str) -> Ask {
    let name = file.rsplit('/').next().unwrap_or(file);
    Ask::glob(&format!("**/{name}"), ".")
}

/// A place in a sentence.
pub(super) fn named(path: &str) -> String {
    match path {
        "." => "this folder".to_owned(),
        path => format!("`{path}`"),
    }
}
