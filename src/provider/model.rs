//! What a model can do and what it costs: rows of data, which users can override.
//! Refuses to ask a vendor: the table is what we know, the user's word wins.

use std::sync::Arc;

use crate::usage::Price;

/// What a model can do and costs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Model {
    /// The vendor's word in `vendor/name`.
    pub vendor: Arc<str>,
    /// The model's name, as the vendor knows it.
    pub name: Arc<str>,
    /// Tokens that fit, prompt and answer together.
    pub window: u64,
    /// Tokens it can write in one answer.
    pub max_output: u64,
    /// What it costs; `None` when we do not know.
    pub price: Option<Price>,
    /// Whether it answers to a JSON Schema by itself.
    pub native_schema: bool,
}

impl Model {
    /// A model we know nothing of: a window of 200,000 tokens, 8,192 of output, no known price.
    pub fn unknown(vendor: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            vendor: vendor.into(),
            name: name.into(),
            window: 200_000,
            max_output: 8_192,
            price: None,
            native_schema: true,
        }
    }

    /// `vendor/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.vendor, self.name)
    }
}

/// Named models, such as `fast` or `careful`.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    rows: Vec<(String, String)>,
}
