//! When a conversation is long, too long, and far too long: plain figures from plain settings.
//! Refuses to read the environment by itself and to act: it only says where the lines are.

use crate::{
    error::{Error, ErrorKind, Result},
    provider::Model,
};

/// What is kept free for the summary itself.
const SUMMARY_RESERVE: u64 = 20_000;
/// How far below the usable window a warning is due.
const WARNING_BUFFER: u64 = 20_000;
/// How far below the usable window summarising is due.
const COMPACT_BUFFER: u64 = 13_000;
/// How far below the usable window nothing more is sent.
const REFUSE_BUFFER: u64 = 3_000;
/// In a window smaller than this all four shrink in proportion: the figures above would leave
/// nothing of a small window (at 40,000 tokens the warning would stand at 0). The two rules meet
/// at this size, so that a larger window never has a lower line.
const SMALL_WINDOW: u64 = 100_000;
/// The window of a model whose name says `[1m]`.
const MILLION: u64 = 1_000_000;
/// The same model's window where the large one is switched off.
const WITHOUT_MILLION: u64 = 200_000;
/// How many of the newest tool results stay when old ones are cleared.
const KEEP_RESULTS: usize = 5;

/// How and when history is shortened.
///
/// ```
/// use offshoot::{CompactionSettings, provider::Model};
///
/// let settings = CompactionSettings::default();
/// let lines = settings.thresholds(&Model::unknown("acme", "large"));
/// assert_eq!((lines.warning, lines.compact, lines.refuse), (160_000, 167_000, 177_000));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionSettings {
    /// Whether a summary is made unasked.
    pub summarising: Summarising,
    /// When old tool output is cleared.
    pub trimming: Trimming,
    /// How many of the newest tool results are never cleared.
    pub keep_results: usize,
    /// Counts as the window where the model's is larger.
    pub window: Option<u64>,
    /// Summarise when so many hundredths of the usable window are full, if that is sooner.
    pub percent: Option<u8>,
    /// Whether a name with `[1m]` means a window of a million tokens.
    pub million: bool,
}

/// Whether a summary is made unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Summarising {
    /// When the conversation has become too long. The default.
    #[default]
    Automatic,
    /// Only when somebody asks.
    Never,
}

/// When old tool output is cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trimming {
    /// Before a summary is made, which may make that needless. The default.
    #[default]
    WhenFull,
    /// As soon as the warning is due.
    Early,
    /// Never.
    Never,
}

impl Default for CompactionSettings {
    fn default() -> Self {
        Self {
            summarising: Summarising::default(),
            trimming: Trimming::default(),
            keep_results: KEEP_RESULTS,
            window: None,
            percent: None,
            million: true,
        }
    }
}

impl CompactionSettings {
    /// Reads the variables of the process: see [`from_lookup`](Self::from_lookup).
    ///
    /// # Errors
    /// When a variable that holds a number holds none.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads `AGENT_AUTO_COMPACT`, `AGENT_MICROCOMPACT`, `CLAUDE_CODE_AUTO_COMPACT_WINDOW`,
    /// `CLAUDE_AUTOCOMPACT_PCT_OVERRIDE` and `CLAUDE_CODE_DISABLE_1M_CONTEXT` through a function.
    ///
    /// A switch is on for `1`, `true`, `yes` and `on`, and off for everything else. An empty
    /// variable counts as absent. `AGENT_MICROCOMPACT` chooses between clearing old tool output
    /// early and never; without it that happens when the conversation is full.
    ///
    /// # Errors
    /// When a variable that holds a number holds none.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let value = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let switch = |name: &str| value(name).map(|value| is_on(&value));
        let mut settings = Self::default();
        if switch("AGENT_AUTO_COMPACT") == Some(false) {
            settings.summarising = Summarising::Never;
        }
        settings.trimming = match switch("AGENT_MICROCOMPACT") {
            None => Trimming::WhenFull,
            Some(true) => Trimming::Early,
            Some(false) => Trimming::Never,
        };
        settings.million = switch("CLAUDE_CODE_DISABLE_1M_CONTEXT") != Some(true);
        let name = "CLAUDE_CODE_AUTO_COMPACT_WINDOW";
        if let Some(text) = value(name) {
            let window = text.trim().parse().ok().filter(|window| *window > 0);
            settings.window = Some(window.ok_or_else(|| wrong(name, &text, "a number of tokens"))?);
        }
        let name = "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE";
        if let Some(text) = value(name) {
            let percent = text.trim().parse().ok();
            let percent = percent.filter(|percent| (1..=100).contains(percent));
            settings.percent = Some(percent.ok_or_else(|| wrong(name, &text, "from 1 to 100"))?);
        }
        Ok(settings)
    }

    /// Where the lines are for a model.
    pub fn thresholds(&self, model: &Model) -> Thresholds {
        let mut window = model.prompt_window();
        let mut marks = model.name.as_bytes().windows(4);
        if marks.any(|mark| mark.eq_ignore_ascii_case(b"[1m]")) {
            window = match self.million {
                true => MILLION,
                false => window.min(WITHOUT_MILLION),
            };
        }
        let window = self.window.map_or(window, |own| own.min(window));
        let small = window.min(SMALL_WINDOW);
        // One division for each line, so that rounding cannot make a larger window's line lower.
        let without = |reserves: u64| {
            let rest = u128::from(small) * u128::from(SMALL_WINDOW - reserves);
            window - small + (rest / u128::from(SMALL_WINDOW)) as u64
        };
        let usable = without(SUMMARY_RESERVE);
        let below = |buffer: u64| without(SUMMARY_RESERVE + buffer).max(1);
        let mut compact = below(COMPACT_BUFFER);
        if let Some(percent) = self.percent {
            let part = u128::from(usable) * u128::from(percent) / 100;
            compact = compact.min(part as u64).max(1);
        }
        Thresholds {
            warning: below(WARNING_BUFFER).min(compact),
            compact,
            refuse: below(REFUSE_BUFFER),
        }
    }
}

fn is_on(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    matches!(value.as_str(), "1" | "true" | "yes" | "on")
}

fn wrong(name: &str, value: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Config, format!("bad value of {name}: `{value}`"))
        .with_hint(format!("Set {name} to {wanted}, or unset it."))
}

/// Where the lines are, in tokens: each is crossed when it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// From here on people should know.
    pub warning: u64,
    /// From here on history is shortened.
    pub compact: u64,
    /// From here on nothing is sent.
    pub refuse: u64,
}

impl Thresholds {
    /// How full a conversation of so many tokens is.
    pub fn fill(&self, tokens: u64) -> Fill {
        match tokens {
            _ if tokens >= self.refuse => Fill::Refuse,
            _ if tokens >= self.compact => Fill::Compact,
            _ if tokens >= self.warning => Fill::Warning,
            _ => Fill::Fine,
        }
    }
}

/// How full a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fill {
    /// There is room.
    Fine,
    /// It will be shortened before long.
    Warning,
    /// It has to be shortened.
    Compact,
    /// It must not be sent.
    Refuse,
}
