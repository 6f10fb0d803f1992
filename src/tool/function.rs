//! A tool in one line, from an async closure.
//! Refuses anything a closure cannot say; write a `TypedTool` for the rest.

use std::{future::Future, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Tool, ToolContext, ToolOutput, ToolSpec, typed::schema_of};

/// A tool from an async closure over its arguments.
///
/// ```
/// use offshoot::tool_fn;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Greet {
///     /// Whom.
///     name: String,
/// }
///
/// let tool = tool_fn("greet", "Greets somebody", |args: Greet| async move {
///     format!("Hello, {}!", args.name)
/// });
/// assert_eq!(tool.spec().name, "greet");
/// ```
pub fn tool_fn<A, F, R, O>(name: &'static str, description: &'static str, run: F) -> Arc<dyn Tool>
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    F: Fn(A) -> R + Send + Sync + 'static,
    R: Future<Output = O> + Send,
    O: Into<ToolOutput>,
{
    let (schema, _) = schema_of::<A>();
    let spec = ToolSpec::new(name, description, schema);
    Arc::new(Function {
        spec,
        run,
        arguments: PhantomData::<fn(A)>,
    })
}

struct Function<A, F> {
    spec: ToolSpec,
    run: F,
    arguments: PhantomData<fn(A)>,
}

#[async_trait]
impl<A, F, R, O> Tool for Function<A, F>
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    F: Fn(A) -> R + Send + Sync + 'static,
    R: Future<Output = O> + Send,
    O: Into<ToolOutput>,
{
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, _: ToolContext, input: Value) -> ToolOutput {
        match serde_json::from_value(input) {
            Ok(arguments) => (self.run)(arguments).await.into(),
            Err(error) => {
                ToolOutput::failed(format!("wrong arguments for `{}`: {error}", self.spec.name))
            }
        }
    }
}
