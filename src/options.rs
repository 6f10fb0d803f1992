//! How a model should answer: limits, effort, shape and delivery.
//! Refuses vendor fields: what only one vendor has goes into that vendor's own options.

use std::time::Duration;

/// How a model should answer.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// At most so many output tokens; `None` for the model's own limit.
    pub max_output: Option<u64>,
    /// Sampling temperature; `None` for the vendor's default.
    pub temperature: Option<f64>,
    /// How hard to think; `None` for the vendor's default.
    pub effort: Option<Effort>,
    /// Words that end the answer.
    pub stop: Vec<String>,
    /// The JSON Schema of the answer; `None` for free text.
    pub schema: Option<serde_json::Value>,
    /// As it comes, or all at once.
    pub delivery: Delivery,
    /// How long the vendor may take to begin its answer, from when the call sets out: what it waits
    /// for other calls of this process does not count. `None` for the default.
    pub first_byte: Option<Duration>,
    /// How long the answer may pause; `None` for the default.
    pub idle: Option<Duration>,
}

/// How hard a model should think before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effort {
    /// Not at all, where the vendor allows that.
    None,
    /// A little.
    Low,
    /// The middle.
    Medium,
    /// A lot.
    High,
    /// As much as the vendor offers.
    Max,
}

/// Whether the answer comes as a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// As it comes.
    #[default]
    Stream,
    /// All at once: one JSON body, given out as the same deltas.
    Whole,
}
