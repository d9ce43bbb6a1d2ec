//! As much of S3 as reading a cache takes, over a [`Blob`]: GET and HEAD of objects, ListObjectsV2.
//!
//! One thread, no signatures checked, nothing written: what a million narinfos cost is measured
//! at the server that reads them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::blob::{Blob, NARS, Place};

/// The longest head of a request.
const HEAD: usize = 64 << 10;
/// Keys on a page.
const PAGE: usize = 1_000;

/// Serves the blob in a folder until `end` returns. Prints where, and credentials, as the embedded
/// server's part does.
pub fn serve(folder: &Path, end: impl FnOnce() + Send + 'static) -> anyhow::Result<bool> {
    let blob = Arc::new(Blob::open(folder)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{} reader nothing", listener.local_addr()?);
        std::io::stdout().flush()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who asks sees what breaks off.
                tokio::spawn(answer_all(stream, Arc::clone(&blob)));
            }
        });
        tokio::task::spawn_blocking(end).await?;
        anyhow::Ok(true)
    })
}

async fn answer_all(mut stream: TcpStream, blob: Arc<Blob>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(4096);
    let mut answer = Vec::with_capacity(4096);
    loop {
        let end = loop {
            if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if received.len() > HEAD || stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        };
        answer.clear();
        let head = String::from_utf8_lossy(&received[..end]);
        let mut words = head.split([' ', '\r']);
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default().to_owned();
        received.drain(..end);
        respond(&blob, &method, &target, &mut answer)?;
        stream.write_all(&answer).await?;
        if !matches!(method.as_str(), "GET" | "HEAD") {
            // What may follow is a body that nobody reads.
            return Ok(());
        }
    }
}

fn respond(blob: &Blob, method: &str, target: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    if !matches!(method, "GET" | "HEAD") {
        return refuse(501, "NotImplemented", method, out);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decoded(path);
    // Behind the slash the bucket's name, whatever it is.
    let key = path.split('/').skip(2).collect::<Vec<_>>().join("/");
    let key = key.as_str();
    if key.is_empty() {
        if !query.split('&').any(|pair| pair == "list-type=2") {
            return refuse(501, "NotImplemented", method, out);
        }
        let page = list(blob, query);
        return head(200, page.len() as u64, "", out)
            .map(|()| out.extend_from_slice(page.as_bytes()));
    }
    let Some(place) = blob.find(key) else {
        return refuse(404, "NoSuchKey", method, out);
    };
    let is_archive = key.starts_with(NARS);
    if is_archive && method == "GET" {
        return refuse(404, "NoSuchKey", method, out);
    }
    let headers = format!(
        "ETag: \"{}\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        tag(place)
    );
    head(200, place.length, &headers, out)?;
    if method == "GET" {
        out.extend_from_slice(&blob.read(place)?);
    }
    Ok(())
}

fn head(status: u16, length: u64, headers: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    write!(
        out,
        "HTTP/1.1 {status} .\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
}

fn refuse(status: u16, code: &str, method: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    head(status, body.len() as u64, "", out)?;
    if method != "HEAD" {
        out.extend_from_slice(body.as_bytes());
    }
    Ok(())
}

fn tag(place: &Place) -> String {
    format!("{:x}-{:x}", place.at, place.length)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A page of a listing.
fn list(blob: &Blob, query: &str) -> String {
    let value = |name: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(own, _)| *own == name)
            .map(|(_, value)| decoded(value))
    };
    let most = value("max-keys").and_then(|most| most.parse().ok());
    let most = most.unwrap_or(PAGE).min(PAGE);
    let prefix = value("prefix").unwrap_or_default();
    let after = value("continuation-token").or_else(|| value("start-after"));
    let folds = value("delimiter").is_some();
    let objects = &blob.objects;
    let from = |key: &str| objects.partition_point(|place| &*place.key <= key);
    let mut at = match &after {
        // A folded prefix stands for all that begins with it.
        Some(after) if folds && after.starts_with(NARS) => from("nar/~"),
        Some(after) => from(after),
        None => objects.partition_point(|place| &*place.key < prefix.as_str()),
    };
    let mut page = String::with_capacity(256 * PAGE);
    page.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult>");
    let (mut count, mut folded, mut last) = (0, false, "");
    while count < most
        && let Some(place) = objects.get(at)
        && place.key.starts_with(&prefix)
    {
        count += 1;
        if folds && prefix.is_empty() && place.key.starts_with(NARS) {
            folded = true;
            last = NARS;
            at = from("nar/~");
            continue;
        }
        let _ = write!(
            page,
            "<Contents><Key>{}</Key><LastModified>1994-11-06T08:49:37.000Z</LastModified>\
             <ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
            place.key,
            tag(place),
            place.length
        );
        last = &place.key;
        at += 1;
    }
    if folded {
        let _ = write!(
            page,
            "<CommonPrefixes><Prefix>{NARS}</Prefix></CommonPrefixes>"
        );
    }
    let more = objects
        .get(at)
        .is_some_and(|place| place.key.starts_with(&prefix));
    let _ = write!(
        page,
        "<KeyCount>{count}</KeyCount><IsTruncated>{more}</IsTruncated>"
    );
    if more {
        let _ = write!(
            page,
            "<NextContinuationToken>{last}</NextContinuationToken>"
        );
    }
    page.push_str("</ListBucketResult>");
    page
}
