//! A model server for clients in other languages: it prints its address, answers a script in five
//! wire formats, and ends when its input does. `tests/data/streams/tools/drive_server.py` drives it.

use offshoot::{
    Error, ErrorKind,
    testing::{Answer, ModelServer, Received, Reply, Script},
};
use serde_json::json;
use tokio::io::AsyncReadExt;

/// What a request gets: the header `x-drive: vendor/mode/step` says which step it is.
fn answer(request: &Received) -> Reply {
    let drive = request.header("x-drive").unwrap_or_default();
    let step = drive.rsplit('/').next().unwrap_or_default();
    Reply::from(match step {
        "text" => Answer::text("Words, as they were asked for."),
        "tool" => Answer::text("I will look.").call("get_weather", json!({"location": "Paris"})),
        "after" => Answer::text("It is 21 degrees in Paris."),
        "limit" => Answer::error(Error::new(ErrorKind::RateLimited, "slow down")),
        _ => {
            let message = format!("no such step: `{drive}`");
            Answer::error(Error::new(ErrorKind::BadRequest, message))
        }
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = ModelServer::start(Script::with(answer));
    println!("{}", server.url());
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    eprintln!("{} requests were answered", server.count());
    Ok(())
}
