//! A store that is far away: what is sent to it arrives so much later.
//!
//! A client that waits for each answer before it asks again over the same connection, as ours
//! does, sends a request in one piece. So each piece is held back for the delay, and each
//! connection by itself; answers come back at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A listener that passes on to a store with a delay. Dropping it ends it.
pub struct Delay {
    /// Where it listens, `http://127.0.0.1:PORT`.
    pub origin: String,
    task: JoinHandle<()>,
}

impl Delay {
    /// In front of the store at `http://HOST:PORT`.
    pub async fn before(endpoint: &str, delay: Duration) -> anyhow::Result<Self> {
        let store: Arc<str> = endpoint.trim_start_matches("http://").into();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Who asks sees what breaks off.
                tokio::spawn(pass_on(client, Arc::clone(&store), delay));
            }
        });
        Ok(Self { origin, task })
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(client: TcpStream, store: Arc<str>, delay: Duration) -> std::io::Result<()> {
    let store = TcpStream::connect(&*store).await?;
    client.set_nodelay(true)?;
    store.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_store, mut to_store) = store.into_split();
    let requests = async {
        let mut piece = vec![0; 16 << 10];
        loop {
            let length = from_client.read(&mut piece).await?;
            if length == 0 {
                return to_store.shutdown().await;
            }
            tokio::time::sleep(delay).await;
            to_store.write_all(&piece[..length]).await?;
        }
    };
    let answers = tokio::io::copy(&mut from_store, &mut to_client);
    tokio::select! {
        ended = requests => ended,
        ended = answers => ended.map(drop),
    }
}
