//! A hundred children that one answer opens, each with a stream of its own, beside bare clients.
//! Refuses a model whose time varies: each answer takes the same.

use std::time::{Duration, Instant};

use offshoot::{
    Agent, AgentKind, AgentKinds, Selection, Session, StopReason, provider::Anthropic, subagents,
    tool_fn,
};

use crate::{
    cpu, floor, parent,
    server::{CALLS, CREW, Server},
};

/// One run: what it cost and how long it took.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

/// Runs both sides, one after the other, and gives the median of each.
pub(crate) fn both(runs: usize) -> (Run, Run) {
    let server = Server::start();
    let (mut theirs, mut own) = (Vec::new(), Vec::new());
    for round in 0..=runs {
        let floor = measured(&server, bare(&server.url()));
        let ours = measured(&server, tree(&server.url()));
        // The first round warms up.
        if round > 0 {
            theirs.push(floor);
            own.push(ours);
        }
    }
    (median(theirs), median(own))
}

fn measured(server: &Server, work: impl Future<Output = ()>) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    server.most();
    let began = Instant::now();
    let used = cpu::counted();
    runtime.block_on(work);
    let (cpu, wall) = (used(), began.elapsed());
    assert_eq!(server.most(), CALLS, "streams open at once");
    Run { cpu, wall }
}

fn median(runs: Vec<Run>) -> Run {
    let middle = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    Run {
        cpu: middle(runs.iter().map(|run| run.cpu).collect()),
        wall: middle(runs.iter().map(|run| run.wall).collect()),
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Echo {
    #[expect(dead_code, reason = "only its schema is sent")]
    text: String,
}

/// A session whose agent opens all children in its first answer and hears of all in its second.
pub(crate) async fn tree(url: &str) {
    let model = Anthropic::builder("bench").base_url(url).api_key("k");
    // Children that send what the bare clients send: the same few words, the same tool.
    let kind = AgentKind::new("general-purpose", "does a part")
        .system("You are a benchmark.")
        .tools(Selection::default().only(["echo"]));
    let echo = |_: Echo| async { "said again" };
    let agent = Agent::builder(model.build().unwrap())
        .system("You are a benchmark.")
        .tools(subagents(AgentKinds::none().with(kind).unwrap()))
        .tool(tool_fn("echo", "Says it again", echo))
        .build()
        .unwrap();
    let builder = Session::builder(agent).budget(parent::roomy());
    let mut session = builder.open().await.unwrap();
    let outcome = session.submit_message(CREW).finish().await;
    assert_eq!(outcome.stop, StopReason::Finished);
}

/// The same calls: the parent's two, and those of the children all at once.
pub(crate) async fn bare(url: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    floor::turn(&client, url, &mut Vec::new(), CREW).await;
    let one = async |n| {
        let prompt = format!("part {n}");
        floor::turn(&client, url, &mut Vec::new(), &prompt).await
    };
    futures::future::join_all((0..CALLS).map(one)).await;
}
