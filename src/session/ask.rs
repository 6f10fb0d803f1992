//! Answers of a given shape: the schema goes out, the answer is parsed, mistakes are corrected.
//! Refuses to correct for ever: after a bounded number of tries it is an error.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Session;
use crate::{
    backend::Task,
    error::{Error, ErrorKind, Result},
    event::StopReason,
    message::{Message, Part},
    schema,
    tool::schema_of,
};

/// Corrections of one structured answer before it is an error.
pub const MAX_CORRECTIONS: usize = 5;

impl Session {
    /// Asks for an answer of the shape of `T`: each is checked against its schema, and a wrong one
    /// is sent back with what is wrong, at most five times.
    ///
    /// # Errors
    /// When a turn does not finish, or the last correction is still wrong.
    ///
    /// Cancel safety: dropping it cancels the turn that runs.
    pub async fn ask<T: DeserializeOwned + JsonSchema>(
        &mut self,
        message: impl Into<Message>,
    ) -> Result<T> {
        let value = self.ask_value(message, schema_of::<T>().0).await?;
        serde_json::from_value(value).map_err(|error| {
            Error::new(
                ErrorKind::Answer,
                "the answer fits its schema but not its type",
            )
            .with_source(error)
        })
    }

    /// As [`ask`](Self::ask), for a schema that is only known at run time.
    ///
    /// # Errors
    /// When the schema is none, a turn does not finish, or the last correction is still wrong.
    ///
    /// Cancel safety: dropping it cancels the turn that runs.
    pub async fn ask_value(&mut self, message: impl Into<Message>, schema: Value) -> Result<Value> {
        let check = schema::validator(&schema).map_err(|error| {
            Error::new(ErrorKind::Config, "the answer's schema is none")
                .with_hint(error.to_string())
        })?;
        let mut message = message.into();
        // Said in words as well: compatible servers may ignore the schema field.
        message.parts.push(Part::text(format!(
            "\n\nAnswer only with JSON that fits this JSON Schema:\n{schema}"
        )));
        for _ in 0..=MAX_CORRECTIONS {
            let task = Task::new(message).answering(schema.clone());
            let outcome = self.submit(task).finish().await;
            let text = match outcome.stop {
                StopReason::Finished => outcome.text,
                stop => return Err(stop.into_error()),
            };
            let wrong = match serde_json::from_str::<Value>(json_in(&text)) {
                Err(error) => format!("it is not JSON: {error}"),
                Ok(value) => match first_error(&check, &value) {
                    None => return Ok(value),
                    Some(wrong) => wrong,
                },
            };
            message = Message::user(format!(
                "That answer does not fit the schema: {wrong}. Answer again, with the JSON only."
            ));
        }
        let text = format!("no answer of the asked shape after {MAX_CORRECTIONS} corrections");
        Err(Error::new(ErrorKind::Answer, text)
            .with_hint("simplify the schema, or use a model that supports JSON Schema"))
    }
}

fn first_error(check: &jsonschema::Validator, value: &Value) -> Option<String> {
    let error = check.iter_errors(value).next()?;
    Some(format!("at `{}`: {error}", error.instance_path()))
}

/// The JSON in a text: some models put it into a code fence, and words around that.
fn json_in(text: &str) -> &str {
    let text = text.trim();
    // A fence inside a string of the answer is no fence around it.
    if text.starts_with(['{', '[', '"']) {
        return text;
    }
    let Some((_, inside)) = text.split_once("```") else {
        return text;
    };
    let inside = inside.strip_prefix("json").unwrap_or(inside);
    inside
        .rsplit_once("```")
        .map_or(inside, |(inside, _)| inside)
        .trim()
}
