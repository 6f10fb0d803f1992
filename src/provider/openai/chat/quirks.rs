//! How servers differ that all call themselves compatible: data, one row for each.
//! Refuses behaviour: what a quirk does is written where requests are encoded.

/// How a compatible server differs from OpenAI. Start from a preset and change what you must:
///
/// ```
/// use offshoot::provider::{OpenAiChat, OutputLimit, Quirks};
///
/// let mut quirks = Quirks::vllm();
/// quirks.output_limit = OutputLimit::MaxCompletionTokens;
/// let model = OpenAiChat::builder("qwen3").base_url("http://127.0.0.1:8000").quirks(quirks);
/// assert!(model.build().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// The field that limits the answer.
    pub output_limit: OutputLimit,
    /// Whether a stream is asked for its usage.
    pub usage: UsageReport,
    /// Whether the model's reasoning goes back to it.
    pub reasoning: ReasoningReturn,
    /// What goes back for arguments that were not JSON.
    pub malformed: Malformed,
    /// The field that says how hard to think.
    pub effort: EffortField,
    /// How documents are sent.
    pub files: Files,
    /// The field that asks for an answer of a shape.
    pub schema: SchemaField,
}

/// The field that limits the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputLimit {
    /// `max_completion_tokens`: OpenAI's models that reason take only this.
    MaxCompletionTokens,
    /// `max_tokens`: most others know only this.
    MaxTokens,
}

/// Whether a stream is asked for its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageReport {
    /// By `stream_options.include_usage`.
    Asked,
    /// Not at all: for servers that refuse the field. Usage is then estimated.
    NotAsked,
}

/// Whether the model's reasoning goes back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReasoningReturn {
    /// It is dropped.
    Dropped,
    /// It goes back in the field it came in. Never reasoning of another vendor.
    Returned,
}

/// What goes back for arguments that were not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Themselves.
    AsTheyCame,
    /// An empty object: some servers parse the arguments for the model's template, and fail.
    EmptyObject,
}

/// The field that says how hard to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EffortField {
    /// `reasoning_effort`.
    ReasoningEffort,
    /// `reasoning.effort`.
    ReasoningObject,
    /// None.
    None,
}

/// How documents are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Files {
    /// As a part of the kind `file`.
    FilePart,
    /// Texts as text; of others the model reads only that they are there.
    TextOnly,
}

/// The field that asks for an answer of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaField {
    /// `response_format` with the schema.
    JsonSchema,
    /// `response_format` that asks for any JSON object.
    JsonObject,
    /// None.
    None,
}

impl Quirks {
    const fn of(output_limit: OutputLimit, malformed: Malformed, files: Files) -> Self {
        Self {
            output_limit,
            usage: UsageReport::Asked,
            reasoning: ReasoningReturn::Dropped,
            malformed,
            effort: EffortField::ReasoningEffort,
            files,
            schema: SchemaField::JsonSchema,
        }
    }

    /// OpenAI itself: none.
    pub const fn openai() -> Self {
        Self::of(
            OutputLimit::MaxCompletionTokens,
            Malformed::AsTheyCame,
            Files::FilePart,
        )
    }

    /// A server we know nothing of.
    pub const fn generic() -> Self {
        Self::of(
            OutputLimit::MaxTokens,
            Malformed::EmptyObject,
            Files::TextOnly,
        )
    }

    /// OpenRouter.
    pub const fn openrouter() -> Self {
        Self {
            reasoning: ReasoningReturn::Returned,
            effort: EffortField::ReasoningObject,
            files: Files::FilePart,
            ..Self::generic()
        }
    }

    /// vLLM.
    pub const fn vllm() -> Self {
        Self::generic()
    }

    /// The server of llama.cpp. It keeps reasoning in `reasoning_content` both ways.
    pub const fn llama_cpp() -> Self {
        Self {
            reasoning: ReasoningReturn::Returned,
            effort: EffortField::None,
            ..Self::generic()
        }
    }

    /// LiteLLM.
    pub const fn litellm() -> Self {
        Self {
            files: Files::FilePart,
            ..Self::generic()
        }
    }

    /// The preset for whoever answers at this address, as far as the address tells.
    pub(super) fn guess(base_url: Option<&str>) -> Self {
        match base_url {
            None => Self::openai(),
            Some(url) if url.contains("api.openai.com") => Self::openai(),
            Some(url) if url.contains("openrouter.ai") => Self::openrouter(),
            Some(_) => Self::generic(),
        }
    }
}
