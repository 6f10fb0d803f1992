//! What a model can do and what it costs, as a card that the user can overwrite line by line.
//! Refuses to ask a vendor: the card is what the table knows, the user's word wins.

use std::sync::Arc;

use super::prices;
use crate::usage::{Cost, Price, Usage};

/// Set (to anything but an empty word, `0`, `false`, `no` or `off`), Claude's windows end at 200,000.
const DISABLE_LONG: &str = "CLAUDE_CODE_DISABLE_1M_CONTEXT";
/// The suffix of a model name that asks for the long window.
const LONG_SUFFIX: &str = "[1m]";
const LONG_WINDOW: u64 = 1_000_000;
const SHORT_WINDOW: u64 = 200_000;

/// What a model can do and costs.
///
/// ```
/// use offshoot::{Price, provider::Model};
///
/// let model = Model::lookup("anthropic", "claude-sonnet-4-5-20250929");
/// assert_eq!(model.window, 200_000);
///
/// // The user's word wins over the table.
/// let mine = model.with_window(100_000).with_price(Price::per_million(1.0, 2.0));
/// assert_eq!(mine.window, 100_000);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Model {
    /// The vendor's word in `vendor/name`.
    pub vendor: Arc<str>,
    /// The model's name, as the vendor knows it.
    pub name: Arc<str>,
    /// Tokens that fit, prompt and answer together.
    pub window: u64,
    /// Tokens that a prompt may have, where the vendor limits it apart from the window.
    pub max_input: Option<u64>,
    /// Tokens it can write in one answer.
    pub max_output: u64,
    /// What it costs; `None` when we do not know.
    pub price: Option<Price>,
    /// What a request with a long prompt costs, where that differs.
    pub long: Option<LongPrice>,
    /// Whether it answers to a JSON Schema by itself.
    pub native_schema: bool,
}

/// What a request costs whose prompt is longer than a vendor's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPrice {
    /// Prompts of more tokens than this cost `price`, all of their tokens.
    pub above: u64,
    /// The price of such a request.
    pub price: Price,
}

/// Whether windows may be longer than 200,000 tokens.
#[derive(Clone, Copy, PartialEq)]
enum Long {
    Allowed,
    Disabled,
}

impl Model {
    /// A model we know nothing of: a window of 200,000 tokens, 8,192 of output, no known price.
    pub fn unknown(vendor: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            vendor: vendor.into(),
            name: name.into(),
            window: SHORT_WINDOW,
            max_input: None,
            max_output: 8_192,
            price: None,
            long: None,
            native_schema: true,
        }
    }

    /// What the table knows of a model: its own row, else the row of the name it is a dated version
    /// of, else what its family has in common (without a price), else [`Model::unknown`].
    ///
    /// A name that ends in `[1m]` has the long window of 1,000,000 tokens, unless
    /// `CLAUDE_CODE_DISABLE_1M_CONTEXT` is set; the suffix is not a part of the vendor's name.
    pub fn lookup(vendor: &str, name: &str) -> Self {
        let long = match is_set(std::env::var(DISABLE_LONG).ok()) {
            true => Long::Disabled,
            false => Long::Allowed,
        };
        Self::lookup_with(vendor, name, long)
    }

    fn lookup_with(vendor: &str, name: &str, allowed: Long) -> Self {
        let (name, long) = split_long(name);
        let mut model = Self::unknown(vendor, name);
        if let Some(row) = prices::find(vendor, name) {
            model.window = row.window;
            model.max_input = row.max_input;
            model.max_output = row.max_output;
            model.price = row.price;
            model.long = row.long;
            model.native_schema = row.native_schema;
        }
        if long && allowed == Long::Allowed {
            model.window = model.window.max(LONG_WINDOW);
        }
        if allowed == Long::Disabled && vendor == "anthropic" {
            model.window = model.window.min(SHORT_WINDOW);
        }
        model
    }

    /// With this window, whatever the table says.
    #[must_use]
    pub fn with_window(mut self, tokens: u64) -> Self {
        self.window = tokens;
        self.max_input = None;
        self
    }

    /// With this limit of one answer, whatever the table says.
    #[must_use]
    pub fn with_max_output(mut self, tokens: u64) -> Self {
        self.max_output = tokens;
        self
    }

    /// With this price for every request, whatever the table says.
    #[must_use]
    pub fn with_price(mut self, price: Price) -> Self {
        self.price = Some(price);
        self.long = None;
        self
    }

    /// The window to plan with: what a prompt may have at most.
    pub fn prompt_window(&self) -> u64 {
        self.max_input.unwrap_or(self.window).min(self.window)
    }

    /// What this usage costs. Where long prompts cost more, several requests are judged by their
    /// mean length. Without a price every request counts as one of unknown price.
    pub fn cost(&self, usage: &Usage) -> Cost {
        let requests = usage.requests.max(1);
        match (&self.long, &self.price) {
            (Some(long), Some(_)) if usage.prompt() / requests > long.above => long.price.of(usage),
            (_, Some(price)) => price.of(usage),
            (_, None) => Cost {
                micros: 0,
                unknown: requests,
            },
        }
    }

    /// `vendor/name`.
    pub fn full_name(&self) -> String {
        // On the way of every request: `format!` costs several times as much.
        [&*self.vendor, "/", &*self.name].concat()
    }
}

/// The vendor's name, and whether the suffix for the long window stood behind it.
fn split_long(name: &str) -> (&str, bool) {
    let Some(cut) = name.len().checked_sub(LONG_SUFFIX.len()) else {
        return (name, false);
    };
    match (name.get(..cut), name.get(cut..)) {
        (Some(front), Some(tail)) if tail.eq_ignore_ascii_case(LONG_SUFFIX) => (front, true),
        _ => (name, false),
    }
}

fn is_set(value: Option<String>) -> bool {
    let value = value.unwrap_or_default();
    !matches!(
        value.trim().to_ascii_lowercase().as_str(),
        "" | "0" | "false" | "no" | "off"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vendor: &str, name: &str) -> Model {
        Model::lookup_with(vendor, name, Long::Allowed)
    }

    #[test]
    fn dated_names_find_their_row_and_cousins_do_not() {
        let plain = of("anthropic", "claude-opus-4-1");
        assert_eq!(plain.price.unwrap().output, 75_000_000);
        for dated in ["claude-opus-4-1-20250805", "claude-opus-4-1@20250805"] {
            assert_eq!(of("anthropic", dated).price, plain.price, "{dated}");
        }
        // One generation on: the family's limits, but nobody's price.
        let later = of("anthropic", "claude-opus-4-99");
        assert_eq!(later.price, None);
        assert_eq!(later.window, 200_000);
        assert_eq!(of("openai", "gpt-5-turbo").price, None);
        assert_eq!(of("openai", "gpt-5-mini").price.unwrap().input, 250_000);
        assert_eq!(
            of("openai", "gpt-4o-2024-05-13").price.unwrap().input,
            5_000_000,
            "the longer row wins"
        );
        assert_eq!(
            of("gemini", "gemini-2.0-flash-001").price.unwrap().input,
            100_000
        );
        // The same model by another vendor's word is another row.
        assert_eq!(
            of("elsewhere", "gpt-5"),
            Model::unknown("elsewhere", "gpt-5")
        );
    }

    #[test]
    fn the_long_suffix_is_a_window_and_no_name() {
        for name in ["claude-sonnet-4-5[1m]", "claude-sonnet-4-5[1M]"] {
            let long = of("anthropic", name);
            assert_eq!((&*long.name, long.window), ("claude-sonnet-4-5", 1_000_000));
            let short = Model::lookup_with("anthropic", name, Long::Disabled);
            assert_eq!((&*short.name, short.window), ("claude-sonnet-4-5", 200_000));
        }
        assert_eq!(of("anthropic", "claude-opus-4-6").window, 1_000_000);
        let capped = Model::lookup_with("anthropic", "claude-opus-4-6", Long::Disabled);
        assert_eq!(capped.window, 200_000);
        assert_eq!(
            split_long("ü[1m"),
            ("ü[1m", false),
            "never cuts a character"
        );
        for (value, set) in [("1", true), ("true", true), ("0", false), ("", false)] {
            assert_eq!(is_set(Some(value.into())), set);
        }
    }

    #[test]
    fn unknown_costs_are_unknown_and_free_is_free() {
        let usage = Usage {
            input: 1_000_000,
            output: 1_000_000,
            ..Usage::default()
        };
        assert_eq!(of("anthropic", "claude-next").cost(&usage), Cost::UNKNOWN);
        for (vendor, name) in [("offline", "rules"), ("ollama", "llama3.2:3b")] {
            let cost = of(vendor, name).cost(&usage);
            assert!(cost.is_known() && cost.micros == 0, "{vendor}: {cost}");
        }
        let cloud = of("ollama", "gpt-oss:120b-cloud");
        assert!(!cloud.cost(&usage).is_known(), "that one runs elsewhere");
    }

    #[test]
    fn long_prompts_cost_the_long_price() {
        let model = of("gemini", "gemini-2.5-pro");
        let usage = |input, cache_read| Usage {
            input,
            cache_read,
            ..Usage::default()
        };
        assert_eq!(model.cost(&usage(200_000, 0)).micros, 250_000);
        // The mark counts what the cache served too.
        assert_eq!(
            model.cost(&usage(100_000, 100_001)).micros,
            250_000 + 25_001
        );
        let mine = model.with_price(Price::per_million(1.0, 1.0));
        assert_eq!(mine.cost(&usage(1_000_000, 0)).micros, 1_000_000);
    }

    #[test]
    fn the_prompt_may_have_a_limit_of_its_own() {
        let model = of("openai", "gpt-5");
        assert_eq!((model.window, model.prompt_window()), (400_000, 272_000));
        assert_eq!(model.with_window(50_000).prompt_window(), 50_000);
    }
}
