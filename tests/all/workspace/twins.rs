//! The proofs of containment once more, with tools that join a path to the root and open it.
//! Refuses to pass where the proof does not see the fault.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use offshoot::{Tool, ToolOutput, ToolSpec};
use serde_json::json;

use super::{Place, is_refused, no_link_leads_out, no_pattern_is_too_much, no_spelling_leads_out};
use crate::kit::{noticed, work};

fn spec(name: &'static str) -> ToolSpec {
    ToolSpec::new(name, "For a test", json!({"type": "object"}))
}

/// Reads what the joined path leads to.
fn read(root: PathBuf) -> Arc<dyn Tool> {
    work(spec("Read"), move |_, input| {
        let path = root.join(input["file_path"].as_str().unwrap_or_default());
        let read = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        async { ToolOutput::from(read) }
    })
}

/// Goes through what the joined path leads to, where a pattern begins with one.
fn glob(root: PathBuf) -> Arc<dyn Tool> {
    fn files(folder: &Path, depth: usize, out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() && depth > 0 => files(&path, depth - 1, out),
                path => out.push(path.display().to_string()),
            }
        }
    }
    work(spec("Glob"), move |_, input| {
        let pattern = input["pattern"].as_str().unwrap_or_default();
        let start = root.join(pattern.split('*').next().unwrap_or_default());
        let mut found = Vec::new();
        files(&start, 2, &mut found);
        async move { found.join("\n").into() }
    })
}

impl Place {
    /// A place whose tools check nothing.
    fn trusting() -> Self {
        let mut place = Self::new();
        let root = place.root();
        place
            .tools
            .retain(|tool| !["Read", "Glob"].contains(&&*tool.spec().name));
        place.tools.extend([read(root.clone()), glob(root)]);
        place
    }
}

#[tokio::test]
async fn x1_twin_a_joined_path_leads_out() {
    let saw = noticed(no_spelling_leads_out(&Place::trusting())).await;
    assert!(saw.contains("canary"), "{saw}");
}

#[cfg(unix)]
#[tokio::test]
async fn x2_twin_a_joined_path_follows_links() {
    let saw = noticed(no_link_leads_out(&Place::trusting())).await;
    assert!(saw.contains("Read rel-file: canary"), "{saw}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn x5_twin_a_joined_path_reads_this_process() {
    let saw = noticed(is_refused(&Place::trusting(), "/proc/self/environ")).await;
    assert!(saw.contains("PATH="), "{saw}");
}

#[tokio::test]
async fn x8_twin_a_joined_pattern_leads_out() {
    let saw = noticed(no_pattern_is_too_much(&Place::trusting())).await;
    assert!(saw.contains("secret"), "{saw}");
}
