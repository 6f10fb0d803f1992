//! The pieces of a model's answer, the same for every vendor.
//! Refuses to be shown to users: watchers hear `Event`s, which the engine makes from these.

use futures::stream::BoxStream;

use crate::{
    error::Result,
    id::CallId,
    message::{RawJson, Seal},
    usage::Usage,
};

/// A model's answer as it comes.
pub type Deltas = BoxStream<'static, Result<Delta>>;

/// One piece of a model's answer.
///
/// `part` numbers the parts of the growing message; pieces of different parts may be interleaved.
/// Parts appear in the message in the order of their numbers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Delta {
    /// The vendor has begun to answer.
    Started {
        /// The model that answers, by its own word; empty when it does not say.
        model: String,
    },
    /// More words.
    Text {
        /// Which part.
        part: u32,
        /// The words.
        text: String,
    },
    /// More reasoning.
    Thinking {
        /// Which part.
        part: u32,
        /// The words.
        text: String,
    },
    /// The seal of a text or reasoning part, or of a call: replaces an earlier one.
    Seal {
        /// Which part.
        part: u32,
        /// The seal.
        seal: Seal,
    },
    /// A tool call begins.
    Call {
        /// Which part.
        part: u32,
        /// The vendor's id; `None` where it gives none.
        id: Option<CallId>,
        /// Which tool.
        name: String,
    },
    /// More of a call's arguments.
    Arguments {
        /// Which part.
        part: u32,
        /// The next piece of JSON text.
        json: String,
    },
    /// The whole truth of a call's arguments: replaces all pieces.
    ArgumentsDone {
        /// Which part.
        part: u32,
        /// The complete JSON text.
        json: String,
    },
    /// The whole truth of a part's text: replaces all pieces.
    TextDone {
        /// Which part.
        part: u32,
        /// The complete text.
        text: String,
    },
    /// A block that is kept for this vendor and not understood.
    Opaque {
        /// Which part.
        part: u32,
        /// Whose block.
        vendor: &'static str,
        /// The block.
        json: RawJson,
    },
    /// The usage so far: replaces an earlier one. `requests` is left at 0; the engine counts.
    Usage(Usage),
    /// Something was skipped.
    Skipped {
        /// The vendor's word for it.
        what: String,
    },
    /// The answer is complete. Nothing follows.
    Stop {
        /// Why.
        stop: Stop,
        /// The vendor's own word.
        raw: String,
    },
}

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// It had said what it wanted, or wants its tools run: the calls tell which.
    Done,
    /// It ran into its output limit. The last part may be half.
    Length,
    /// It or a filter refused.
    Refused {
        /// What the vendor says about it.
        reason: String,
    },
    /// The vendor paused a long turn; the same history, sent again, goes on.
    Paused,
    /// The context window is full.
    ContextFull,
    /// The model made a call that the vendor itself could not read. Worth another try.
    BadCall,
    /// A word that this crate does not know; treated as done.
    Unknown,
}
