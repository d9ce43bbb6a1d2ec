//! Garage, one node in a folder of its own: an S3 store that is neither AWS's nor ours.
//!
//! Its program is the one that `SNOWBANK_GARAGE` names, else `garage` on the `PATH`. Where there is
//! none, tests of it say so aloud and are over: it takes half an hour to build, so nothing installs it.
//! The storage suite of the server's crate uses this file as well.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a node may take to answer.
const START: Duration = Duration::from_secs(30);

/// A running node with one bucket and a key for it. Dropping it ends it.
pub struct Garage {
    /// Where its S3 listens.
    pub endpoint: String,
    /// Id of the key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    node: Child,
    _folder: TempDir,
}

/// The region that a node is told to be.
pub const REGION: &str = "garage";

impl Garage {
    /// A node with this bucket; `None`, said aloud, where there is no program.
    ///
    /// # Panics
    /// Where there is a program, and it does not do what Garage does.
    pub async fn start(bucket: &str) -> Option<Self> {
        let Some(program) = program() else {
            println!(
                "SKIPPED: no Garage: SNOWBANK_GARAGE does not name its program, and none is on the PATH"
            );
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let free = || {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            socket.local_addr().expect("an address").port()
        };
        let (rpc, s3, admin) = (free(), free(), free());
        let settings = at.join("garage.toml");
        std::fs::write(
            &settings,
            format!(
                "metadata_dir = \"{0}/meta\"\ndata_dir = \"{0}/data\"\ndb_engine = \"sqlite\"\n\
                 replication_factor = 1\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\n\
                 rpc_public_addr = \"127.0.0.1:{rpc}\"\nrpc_secret = \"{1}\"\n\
                 [s3_api]\ns3_region = \"{REGION}\"\napi_bind_addr = \"127.0.0.1:{s3}\"\nroot_domain = \".s3.invalid\"\n\
                 [admin]\napi_bind_addr = \"127.0.0.1:{admin}\"\nadmin_token = \"suite\"\n",
                at.display(),
                "5a".repeat(32),
            ),
        )
        .expect("settings");
        let node = Command::new(&program)
            .arg("-c")
            .arg(&settings)
            .arg("server")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("garage can be run");
        let mut garage = Self {
            endpoint: format!("http://127.0.0.1:{s3}"),
            access_key: String::new(),
            secret_key: String::new(),
            node,
            _folder: folder,
        };
        (garage.access_key, garage.secret_key) = prepare(&program, &settings, bucket).await;
        Some(garage)
    }
}

impl Drop for Garage {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SNOWBANK_GARAGE") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("garage"))
        .find(|program| program.is_file())
}

/// A layout, the bucket and a key that may do everything in it: its id and its secret.
async fn prepare(program: &Path, settings: &Path, bucket: &str) -> (String, String) {
    let garage = |arguments: &[&str]| {
        let output = Command::new(program)
            .arg("-c")
            .arg(settings)
            .args(arguments)
            .output()
            .expect("garage can be run");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    };
    let end = Instant::now() + START;
    let node = loop {
        if let Some(node) = garage(&["node", "id", "-q"])
            && garage(&["status"]).is_some()
        {
            break node;
        }
        assert!(Instant::now() < end, "garage does not start");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let node = node.split('@').next().unwrap_or_default().trim().to_owned();
    garage(&["layout", "assign", "-z", "here", "-c", "1G", &node]).expect("a layout");
    garage(&["layout", "apply", "--version", "1"]).expect("a layout");
    garage(&["bucket", "create", bucket]).expect("a bucket");
    let made = garage(&["key", "create", "suite"]).expect("a key");
    let field = |name: &str| {
        let line = made.lines().find(|line| line.trim().starts_with(name));
        line.and_then(|line| line.split(':').nth(1))
            .map(|value| value.trim().to_owned())
            .unwrap_or_else(|| panic!("no {name} in {made}"))
    };
    garage(&[
        "bucket", "allow", "--read", "--write", "--owner", bucket, "--key", "suite",
    ])
    .expect("permission");
    (field("Key ID"), field("Secret key"))
}
