//! What the model calls of a run used, what they cost, who made them, and what is left.
//! Refuses to guess: an unknown price is unknown, never zero, and an estimate says that it is one.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::id::AgentPath;

/// Tokens of one or more model calls. The fields are disjoint, whatever the vendor's own habit:
/// `input` excludes what was read from or written to a cache; `reasoning` is a share of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens that no cache served.
    pub input: u64,
    /// Generated tokens, reasoning included.
    pub output: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache that lives five minutes (or as long as the vendor likes).
    pub cache_write: u64,
    /// Prompt tokens written to a cache that lives an hour.
    pub cache_write_hour: u64,
    /// The share of `output` that was reasoning.
    pub reasoning: u64,
    /// How many requests this sums.
    pub requests: u64,
    /// How many of these requests were counted by us because the vendor's count never came.
    pub estimated: u64,
}

impl Usage {
    /// Everything the model read.
    pub fn prompt(&self) -> u64 {
        let cached = [self.cache_read, self.cache_write, self.cache_write_hour];
        cached.into_iter().fold(self.input, u64::saturating_add)
    }

    /// Everything the model read and wrote.
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }

    /// What came on top of an earlier sum.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            input: self.input.saturating_sub(earlier.input),
            output: self.output.saturating_sub(earlier.output),
            cache_read: self.cache_read.saturating_sub(earlier.cache_read),
            cache_write: self.cache_write.saturating_sub(earlier.cache_write),
            cache_write_hour: self
                .cache_write_hour
                .saturating_sub(earlier.cache_write_hour),
            reasoning: self.reasoning.saturating_sub(earlier.reasoning),
            requests: self.requests.saturating_sub(earlier.requests),
            estimated: self.estimated.saturating_sub(earlier.estimated),
        }
    }
}

/// Stops at the largest number instead of wrapping: the parts come from vendors.
impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let add = |sum: &mut u64, part: u64| *sum = sum.saturating_add(part);
        add(&mut self.input, other.input);
        add(&mut self.output, other.output);
        add(&mut self.cache_read, other.cache_read);
        add(&mut self.cache_write, other.cache_write);
        add(&mut self.cache_write_hour, other.cache_write_hour);
        add(&mut self.reasoning, other.reasoning);
        add(&mut self.requests, other.requests);
        add(&mut self.estimated, other.estimated);
    }
}

/// What a model's tokens cost, in micro-dollars (millionths) for a million tokens:
/// three dollars a million is `3_000_000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Prompt tokens that no cache served.
    pub input: u64,
    /// Generated tokens.
    pub output: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to the short-lived cache.
    pub cache_write: u64,
    /// Prompt tokens written to the cache that lives an hour.
    pub cache_write_hour: u64,
}

impl Price {
    /// A price without cache discounts, in dollars for a million tokens.
    pub fn per_million(input: f64, output: f64) -> Self {
        let micro = |dollars: f64| (dollars * 1e6).round() as u64;
        let (input, output) = (micro(input), micro(output));
        Self {
            input,
            output,
            cache_read: input,
            cache_write: input,
            cache_write_hour: input,
        }
    }

    /// What this usage costs, rounded up to a whole micro-dollar.
    pub fn of(&self, usage: &Usage) -> Cost {
        let pico = u128::from(usage.input) * u128::from(self.input)
            + u128::from(usage.output) * u128::from(self.output)
            + u128::from(usage.cache_read) * u128::from(self.cache_read)
            + u128::from(usage.cache_write) * u128::from(self.cache_write)
            + u128::from(usage.cache_write_hour) * u128::from(self.cache_write_hour);
        Cost {
            micros: pico.div_ceil(1_000_000) as u64,
            unknown: 0,
        }
    }
}

/// Money in whole micro-dollars, and how many requests of unknown price are missing from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// What is known, in millionths of a dollar.
    pub micros: u64,
    /// How many requests had no known price. When this is not 0 the true cost is higher.
    pub unknown: u64,
}

impl Cost {
    /// What came on top of an earlier sum.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            micros: self.micros.saturating_sub(earlier.micros),
            unknown: self.unknown.saturating_sub(earlier.unknown),
        }
    }

    /// One request of unknown price.
    pub const UNKNOWN: Self = Self {
        micros: 0,
        unknown: 1,
    };

    /// Whether every request had a price.
    pub fn is_known(&self) -> bool {
        self.unknown == 0
    }

    /// The known part in dollars.
    pub fn dollars(&self) -> f64 {
        self.micros as f64 / 1e6
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.micros = self.micros.saturating_add(other.micros);
        self.unknown = self.unknown.saturating_add(other.unknown);
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.micros, self.unknown) {
            (0, 0) => f.write_str("$0"),
            (0, _) => f.write_str("unknown cost"),
            (_, 0) => write!(f, "${:.4}", self.dollars()),
            (_, n) => write!(
                f,
                "${:.4} and {n} requests of unknown price",
                self.dollars()
            ),
        }
    }
}

/// What one agent of a tree spent itself, without its children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spending {
    /// Which agent.
    pub agent: AgentPath,
    /// The tool that started it; absent for the agent whose ledger this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What its model calls used.
    pub usage: Usage,
    /// What they cost.
    pub cost: Cost,
}

impl Spending {
    /// A row of a ledger.
    pub fn new(agent: AgentPath, tool: Option<String>, usage: Usage, cost: Cost) -> Self {
        Self {
            agent,
            tool,
            usage,
            cost,
        }
    }
}

/// What an agent may still spend and start, at one moment. Absent means without a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Left {
    /// Model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Millionths of a dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micros: Option<u64>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// Levels of agents below this one.
    pub depth: u64,
    /// How many more agents may be alive at once.
    pub live: u64,
    /// How many more agents may be started.
    pub spawns: u64,
    /// How many more processes may run at once.
    pub processes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_whole_micros_rounded_up() {
        let price = Price::per_million(3.0, 15.0);
        let usage = Usage {
            input: 1,
            output: 1,
            ..Usage::default()
        };
        assert_eq!(price.of(&usage).micros, 18);
        let price = Price::per_million(0.25, 0.0);
        assert_eq!(price.of(&usage).micros, 1);
    }

    #[test]
    fn unknown_is_not_zero() {
        let mut cost = Cost {
            micros: 5,
            unknown: 0,
        };
        cost += Cost::UNKNOWN;
        assert!(!cost.is_known());
        assert_eq!(cost.to_string(), "$0.0000 and 1 requests of unknown price");
        assert_eq!(Cost::UNKNOWN.to_string(), "unknown cost");
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let most = Usage {
            input: u64::MAX,
            cache_read: 1,
            ..Usage::default()
        };
        let mut sum = most;
        sum += most;
        assert_eq!((sum.input, sum.cache_read), (u64::MAX, 2));
        assert_eq!((sum.prompt(), sum.total()), (u64::MAX, u64::MAX));
    }

    #[test]
    fn a_row_of_a_ledger_and_what_is_left_have_fixed_words() {
        let usage = Usage {
            input: 1,
            ..Usage::default()
        };
        let mut row = Spending::new(AgentPath::root(), None, usage, Cost::UNKNOWN);
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(
            json,
            r#"{"agent":"root","usage":{"input":1,"output":0,"cache_read":0,"cache_write":0,"cache_write_hour":0,"reasoning":0,"requests":0,"estimated":0},"cost":{"micros":0,"unknown":1}}"#
        );
        assert_eq!(serde_json::from_str::<Spending>(&json).unwrap(), row);
        row.tool = Some("Agent".into());
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["tool"], "Agent");
        assert_eq!(serde_json::from_value::<Spending>(json).unwrap(), row);
        let left = Left {
            turns: Some(2),
            depth: 3,
            ..Left::default()
        };
        let json = serde_json::to_string(&left).unwrap();
        assert_eq!(
            json,
            r#"{"turns":2,"depth":3,"live":0,"spawns":0,"processes":0}"#
        );
        assert_eq!(serde_json::from_str::<Left>(&json).unwrap(), left);
    }
}
