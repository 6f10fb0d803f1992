//! An answer of a given type: the schema is derived, a wrong answer is sent back with what is wrong.

use offshoot::{Agent, Session, provider, tools};

/// What a folder holds.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Folder {
    /// How many files there are.
    files: u64,
    /// How many folders there are.
    folders: u64,
    /// How many bytes all files have together.
    bytes: u64,
}

#[tokio::main]
async fn main() -> offshoot::Result<()> {
    let model = provider::from_env().await?.provider;
    let agent = Agent::builder_for(model)
        .tools(tools::read_only(".")?)
        .build()?;
    let mut session = Session::new(agent);
    let folder: Folder = session.ask("Survey this folder").await?;
    println!(
        "{} files in {} folders, {} bytes",
        folder.files, folder.folders, folder.bytes
    );
    Ok(())
}
