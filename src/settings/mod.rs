//! Finds, trusts and parses the settings files of a user and of a project into plain rows.
//! Refuses to let a project file take effect before its folder is trusted, deny rules excepted.
//!
//! # Files
//!
//! | file | whose | holds |
//! |---|---|---|
//! | `~/.claude/settings.json`, then `$OFFSHOOT_HOME/settings.json` | the user's, always trusted | permissions, hooks, environment |
//! | `~/.claude/agents/*.md`, `$OFFSHOOT_HOME/agents/*.md` | the user's | kinds of agents |
//! | `.claude/settings.json`, `.claude/settings.local.json`, `.offshoot/settings.json`, `.offshoot/settings.local.json` | the project's | the same as the user's |
//! | `.claude/agents/*.md`, `.offshoot/agents/*.md` | the project's | kinds of agents |
//! | `AGENTS.md`, `CLAUDE.md` | the project's | words for the model |
//!
//! A kind may name `tools`, a `model`, `paths` (folders and patterns below the workspace) and
//! `environment` (names of variables that its programs see); of each it gets at most what its parent
//! has.
//!
//! They are read in this order. Rules and hooks add up; of modes, variables and kinds of one name
//! the last one wins. Where `OFFSHOOT_HOME` is not set, it is the platform's folder for
//! configuration, such as `~/.config/offshoot`.
//!
//! # Trust
//!
//! Of a project that is not trusted only the deny and the ask rules take effect, because they can
//! only narrow. All else waits: hooks, kinds, allow rules, the mode, variables, and the words of
//! `AGENTS.md` and `CLAUDE.md`, which steer a model that may act. Trust is bound to the content of
//! all these files, and of the scripts in `.claude/hooks` and `.offshoot/hooks`: when one is
//! changed, added or removed, the folder waits again. Programs elsewhere that a hook's command line
//! calls are not watched.
//!
//! ```
//! # fn main() -> offshoot::Result<()> {
//! use offshoot::{Agent, provider::Offline, settings::{self, Trust}};
//!
//! # let folder = std::env::temp_dir();
//! let settings = settings::load(&folder, &Trust::nothing())?;
//! if let Some(line) = settings.waiting() {
//!     eprintln!("{line}");
//! }
//! let agent = Agent::builder(Offline::new())
//!     .permissions(settings.permissions.clone())
//!     .hooks(&settings.command_hooks())
//!     .build()?;
//! # Ok(()) }
//! ```

mod file;
mod front;
mod json;
mod kind;
mod places;
mod rows;
#[cfg(all(test, unix))]
mod tests;
mod trust;

use std::{
    fmt,
    path::{Path, PathBuf},
};

#[cfg(feature = "cli")]
pub(crate) use self::places::{Env, full, set};
use self::{file::Folder, rows::Rows};
pub use self::{
    file::{
        MAX_HOOK_SCRIPTS, MAX_INSTRUCTIONS_BYTES, MAX_KIND_BYTES, MAX_KINDS, MAX_SCRIPT_BYTES,
        MAX_SETTINGS_BYTES,
    },
    kind::KindRow,
    places::Places,
    rows::{MAX_HOOKS, MAX_RULES, MAX_VARIABLES},
    trust::Trust,
};
use crate::{
    error::Result,
    hook::{CommandHook, Hooks, command_hooks},
    permission::{Permissions, Unasked},
};

/// What the settings files of a user and a project say, as far as it takes effect.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The mode and the rules. A question that nobody is there to answer is a no.
    pub permissions: Permissions,
    /// The external commands.
    pub hooks: Vec<CommandHook>,
    /// The kinds of agents.
    pub kinds: Vec<KindRow>,
    /// Words for the model.
    pub instructions: Vec<Instruction>,
    /// Environment variables for the programs that are started: see `SessionBuilder::environment`. This
    /// process takes nothing from them.
    pub variables: Vec<(String, String)>,
    /// The project's files, trusted or not: what a yes would be bound to.
    pub found: Vec<FoundFile>,
    /// What could not be taken, and why.
    pub problems: Vec<Problem>,
    folder: PathBuf,
    standing: Standing,
    waiting: Vec<String>,
}

/// Words of a project for the model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instruction {
    /// The file they come from.
    pub file: String,
    /// The words.
    pub text: String,
}

/// One project file that takes effect once its folder is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundFile {
    /// Its place in the project.
    pub path: String,
    /// The SHA-256 of what was read.
    pub hash: String,
    /// How many bytes that were.
    pub bytes: u64,
}

/// Something in a file that could not be taken. The rest of it, and the other files, still count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Which file.
    pub file: String,
    /// What is wrong with it.
    pub text: String,
}

/// Whether the project's files take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// They do.
    Trusted,
    /// The folder was never trusted.
    New,
    /// A file was changed, added or removed since the folder was trusted.
    Changed,
}

/// Reads the settings of the user and of the project in this folder. Blocks while it reads.
///
/// # Errors
/// When there is no such folder. A file that cannot be taken is no error: see
/// [`Settings::problems`].
pub fn load(folder: impl AsRef<Path>, trust: &Trust) -> Result<Settings> {
    Places::of(folder)?.load(trust)
}

impl Settings {
    /// The project's folder, in full.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the project's files take effect.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The commands as hooks that run in the project's folder.
    pub fn command_hooks(&self) -> Hooks {
        command_hooks(&self.hooks, &self.folder)
    }

    /// One line that names what waits until the folder is trusted; `None` when nothing does.
    pub fn waiting(&self) -> Option<String> {
        if self.waiting.is_empty() {
            return None;
        }
        let why = match self.standing {
            Standing::Changed => "changed since the folder was trusted",
            _ => "not trusted yet",
        };
        let mut named = self.waiting[..self.waiting.len().min(MAX_NAMED)].join(", ");
        if self.waiting.len() > MAX_NAMED {
            named.push_str(&format!(" and {} more", self.waiting.len() - MAX_NAMED));
        }
        Some(format!("{why}, so these wait: {named}"))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of variables only the names: the values are often keys.
        let variables: Vec<_> = self.variables.iter().map(|(name, _)| name).collect();
        f.debug_struct("Settings")
            .field("folder", &self.folder)
            .field("standing", &self.standing)
            .field("permissions", &self.permissions)
            .field("hooks", &self.hooks)
            .field("kinds", &self.kinds)
            .field("variables", &variables)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// Files that one line names.
const MAX_NAMED: usize = 8;

/// Characters of a file's own words that a message shows.
const MAX_SHOWN: usize = 300;

impl Problem {
    fn new(file: &str, text: impl fmt::Display) -> Self {
        Self {
            file: tame(file),
            text: tame(&text.to_string()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.text)
    }
}

/// A file's words in one line of a terminal: what would move the cursor is spelled out.
fn tame(text: &str) -> String {
    let spelled = |c: char| match c {
        '"' | '\'' | '\\' => String::from(c),
        c => c.escape_debug().collect(),
    };
    let mut tamed: String = text.chars().take(MAX_SHOWN).map(spelled).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        tamed.push('…');
    }
    tamed
}

impl Places {
    /// Reads everything. Blocks while it reads.
    ///
    /// # Errors
    /// When the project's folder cannot be opened.
    pub fn load(&self, trust: &Trust) -> Result<Settings> {
        let mut settings = Settings {
            permissions: Permissions {
                unasked: Unasked::Deny,
                ..Permissions::default()
            },
            hooks: Vec::new(),
            kinds: Vec::new(),
            instructions: Vec::new(),
            variables: Vec::new(),
            found: Vec::new(),
            problems: self.problems.clone(),
            folder: self.project.clone(),
            standing: Standing::Trusted,
            waiting: Vec::new(),
        };
        let mut files = Vec::new();
        for home in self.homes() {
            let folder = Folder::free(home);
            files.extend(folder.settings("settings.json", &mut settings.problems));
            files.extend(folder.kinds("agents", &mut settings.problems));
        }
        for file in files {
            file.take_into(&mut settings);
        }
        let folder = Folder::fenced(&self.project)?;
        let mut files = Vec::new();
        for place in self.layouts() {
            for name in ["settings.json", "settings.local.json"] {
                files.extend(folder.settings(&format!("{place}/{name}"), &mut settings.problems));
            }
            files.extend(folder.kinds(&format!("{place}/agents"), &mut settings.problems));
            let scripts = folder.scripts(&format!("{place}/hooks"), &mut settings.problems);
            settings.found.extend(scripts);
        }
        for name in ["AGENTS.md", "CLAUDE.md"] {
            files.extend(folder.instructions(name, &mut settings.problems));
        }
        settings
            .found
            .extend(files.iter().map(|file| file.found.clone()));
        settings.standing = trust.standing(&self.project, &settings.found);
        for file in files {
            if settings.standing == Standing::Trusted {
                file.take_into(&mut settings);
            } else {
                file.narrow(&mut settings);
            }
        }
        Ok(settings)
    }
}

/// A file that was read and understood.
struct Parsed {
    found: FoundFile,
    holds: Holds,
}

/// What a file holds.
enum Holds {
    Rows(Rows),
    Kind(KindRow),
    Instruction(Instruction),
}

impl Parsed {
    /// Lets all of it take effect, after what did before.
    fn take_into(self, settings: &mut Settings) {
        match self.holds {
            Holds::Rows(rows) => rows.take_into(settings),
            Holds::Kind(kind) => {
                settings.kinds.retain(|other| other.name != kind.name);
                settings.kinds.push(kind);
            }
            Holds::Instruction(more) => {
                // One of the two files is often a link to the other.
                if settings
                    .instructions
                    .iter()
                    .all(|had| had.text != more.text)
                {
                    settings.instructions.push(more);
                }
            }
        }
    }

    /// Lets take effect what can only narrow, and names what waits.
    fn narrow(self, settings: &mut Settings) {
        let waits = match self.holds {
            Holds::Rows(rows) => {
                let waits = rows.waits();
                settings.permissions.ask.extend(rows.ask);
                settings.permissions.deny.extend(rows.deny);
                waits
            }
            Holds::Kind(kind) => vec![format!("agent {}", kind.name)],
            Holds::Instruction(_) => vec!["instructions".into()],
        };
        if !waits.is_empty() {
            let line = format!("{} ({})", self.found.path, waits.join(", "));
            settings.waiting.push(tame(&line));
        }
    }
}
