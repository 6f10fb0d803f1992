//! Tools with typed arguments: the schema is derived, the JSON is parsed before the author sees it.
//! Refuses arguments that do not parse, in words that the model can act on.

use std::{borrow::Cow, future::Future, sync::Arc};

use async_trait::async_trait;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Tool, ToolContext, ToolOutput, ToolSpec};

/// A tool with typed arguments.
///
/// The doc comment of the input type is the tool's description, the doc comments of its fields
/// describe the arguments. Write `call` as a plain `async fn`:
///
/// ```
/// use offshoot::{ToolContext, ToolOutput, ToolSpec, TypedTool, typed};
///
/// /// Adds two whole numbers.
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Add {
///     /// The first number.
///     a: i64,
///     /// The second number.
///     b: i64,
/// }
///
/// struct Adder;
///
/// impl TypedTool for Adder {
///     const NAME: &'static str = "add";
///     type Input = Add;
///
///     fn manners(&self, spec: ToolSpec) -> ToolSpec {
///         spec.reads()
///     }
///
///     async fn call(&self, _: ToolContext, input: Add) -> ToolOutput {
///         (input.a + input.b).to_string().into()
///     }
/// }
///
/// let tool = typed(Adder);
/// assert_eq!(tool.spec().description, "Adds two whole numbers.");
/// ```
pub trait TypedTool: Send + Sync + 'static {
    /// The name that the model uses.
    const NAME: &'static str;

    /// The arguments.
    type Input: DeserializeOwned + JsonSchema + Send + 'static;

    /// What the model reads; by default the doc comment of the input type.
    fn description(&self) -> Cow<'static, str> {
        Cow::Borrowed("")
    }

    /// Lane, effect, access and deadline; by default the careful ones of [`ToolSpec::new`].
    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec
    }

    /// What permission rules look at in these arguments. See [`Tool::subjects`].
    fn subjects(&self, spec: &ToolSpec, input: &Value) -> Vec<String> {
        spec.subjects(input)
    }

    /// Does the work. See [`Tool::call`].
    ///
    /// Cancel safety: the future is dropped at the deadline and on cancel.
    fn call(&self, ctx: ToolContext, input: Self::Input)
    -> impl Future<Output = ToolOutput> + Send;
}

/// Makes a typed tool one that the engine can run.
pub fn typed<T: TypedTool>(tool: T) -> Arc<dyn Tool> {
    let (schema, doc) = schema_of::<T::Input>();
    let description = match tool.description() {
        text if text.is_empty() => Cow::Owned(doc),
        text => text,
    };
    let spec = tool.manners(ToolSpec::new(T::NAME, description, schema));
    Arc::new(Typed { tool, spec })
}

/// The schema of a type, with everything inline as vendors like it, and the type's description.
pub(crate) fn schema_of<T: JsonSchema>() -> (Value, String) {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let mut schema: Value = settings.into_generator().into_root_schema_for::<T>().into();
    let mut doc = String::new();
    if let Some(map) = schema.as_object_mut() {
        map.remove("title");
        if let Some(Value::String(text)) = map.remove("description") {
            doc = text;
        }
    }
    (schema, doc)
}

struct Typed<T> {
    tool: T,
    spec: ToolSpec,
}

#[async_trait]
impl<T: TypedTool> Tool for Typed<T> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn subjects(&self, input: &Value) -> Vec<String> {
        self.tool.subjects(&self.spec, input)
    }

    async fn call(&self, ctx: ToolContext, input: Value) -> ToolOutput {
        match serde_json::from_value(input) {
            Ok(input) => self.tool.call(ctx, input).await,
            Err(error) => ToolOutput::failed(format!("wrong arguments for `{}`: {error}", T::NAME)),
        }
    }
}
