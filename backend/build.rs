//! Builds the dashboard and hands it to the server as a table of assets.
//!
//! 1. `cargo build -p snowbank-frontend --target wasm32-unknown-unknown` runs in
//!    a target folder of its own below the outer one (sharing the outer one waits
//!    for ever on its lock), with the environment scrubbed of what cargo tells
//!    build scripts, so that it does not depend on how the outer build was started.
//! 2. wasm-split cuts off the parts that pages bring with them (`frontend/src/parts.rs`)
//!    and writes the script that fetches them; wasm-bindgen, as a library, writes the
//!    JavaScript glue of the program that is left (target `web`). What the two call each
//!    other by gets short names (`build/names.rs`).
//! 3. Every asset gets a name with the beginning of its SHA-256 (parts that of all parts), and brotli and
//!    gzip twins where they are smaller (level 11 and 9 in release, quick in dev).
//! 4. `$OUT_DIR/assets.rs` holds the table that `src/ui/assets.rs` includes.
//!
//! # What the frontend provides
//!
//! | file | what |
//! |---|---|
//! | `frontend/index.html` | the page of every dashboard URL |
//! | `frontend/boot.js` | a module script that starts the program |
//! | `frontend/worker.js` | the same for a worker, without a window |
//! | `frontend/theme.js` | a classic script in `<head>` that sets the theme before the first paint |
//! | `frontend/favicon.svg` | the icon |
//! | `style/order.txt` | names of the CSS files in `style/`, one a line in the order of the cascade; `#` begins a comment |
//!
//! In `index.html` and `boot.js` these placeholders stand for asset names, without
//! a folder: `{{css}}`, `{{theme}}`, `{{favicon}}`, `{{app_js}}`, `{{app_wasm}}`,
//! `{{parts_js}}` (which fetches parts of the program), and in `index.html` also `{{boot}}`. Assets lie side by side under `{{base}}_app/`, so a
//! script names another as `./{{app_js}}`. The server replaces at start, in
//! `index.html` only: `{{base}}` (the path of the public URL with its last slash,
//! so `/` or like `/nix/`) and `{{noscript}}` (what each public cache puts into
//! nix.conf, as HTML).
//!
//! # Variables
//!
//! - `SNOWBANK_SKIP_FRONTEND=1` leaves the dashboard out; the server then has a page that says so.

#[path = "build/names.rs"]
mod names;
#[path = "build/twins.rs"]
mod twins;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use sha2::{Digest, Sha256};

use twins::{Asset, Twins};

const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The page of a server that was built without its dashboard.
const WITHOUT_DASHBOARD: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<title>Snowbank</title>\n\
    <h1>This server was built without its dashboard</h1>\n\
    <p>SNOWBANK_SKIP_FRONTEND was set when it was built. The caches, the API under <code>{{base}}api/v1</code> \
    and the machine URLs work; build again without that variable to have the pages.</p>\n{{noscript}}\n</html>\n";

fn main() -> ExitCode {
    if let Err(reason) = run() {
        // A build script's panic is what cargo shows; keep it to the point.
        eprintln!("\nthe dashboard could not be built: {reason}\n");
        eprintln!("(SNOWBANK_SKIP_FRONTEND=1 builds the server without it)");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run() -> Result<(), String> {
    let manifest =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    let root = manifest
        .parent()
        .ok_or("the crate has no parent folder")?
        .to_path_buf();
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=SNOWBANK_SKIP_FRONTEND");

    let skip = env::var_os("SNOWBANK_SKIP_FRONTEND")
        .is_some_and(|value| !value.is_empty() && value != "0");
    if skip {
        return write_table(&out_dir, WITHOUT_DASHBOARD, &BTreeMap::new());
    }
    for watched in ["frontend", "shared", "style", "Cargo.lock", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }

    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let inner_target = outer_target_dir(&out_dir)?.join("wasm");
    let wasm = build_wasm(&root, &inner_target, release)?;
    let glue = bind(&wasm, &inner_target, release)?;
    let (index, assets) = assemble(&root, &glue)?;
    let twins = Twins {
        dir: inner_target.join("twins"),
        release,
    };
    let table = assets
        .into_iter()
        .map(|(name, bytes)| twins.compress(bytes).map(|asset| (name, asset)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    write_table(&out_dir, &index, &table)
}

/// The folder of the outer build: the nearest one above `OUT_DIR` that cargo marked.
fn outer_target_dir(out_dir: &Path) -> Result<PathBuf, String> {
    out_dir
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").is_file())
        // <target>/<profile>/build/<package>/out
        .or_else(|| out_dir.ancestors().nth(4))
        .map(Path::to_path_buf)
        .ok_or_else(|| format!("no target folder above {}", out_dir.display()))
}

/// A command without what cargo and rustup told this build script about the outer build.
fn scrubbed(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let about_outer_build = (text.starts_with("CARGO") && !kept(text))
            || text.starts_with("RUSTC")
            || text.starts_with("DEP_")
            || matches!(
                text,
                "RUSTFLAGS"
                    | "RUSTDOC"
                    | "RUSTDOCFLAGS"
                    | "TARGET"
                    | "HOST"
                    | "OUT_DIR"
                    | "PROFILE"
                    | "OPT_LEVEL"
                    | "DEBUG"
                    | "NUM_JOBS"
                    | "MAKEFLAGS"
                    | "MFLAGS"
            );
        if about_outer_build {
            command.env_remove(&name);
        }
    }
    command
}

/// What of `CARGO…` says how to reach the registry rather than what is being built.
fn kept(name: &str) -> bool {
    name == "CARGO_HOME"
        || [
            "CARGO_NET_",
            "CARGO_HTTP_",
            "CARGO_REGISTRY_",
            "CARGO_REGISTRIES_",
            "CARGO_SOURCE_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

fn build_wasm(root: &Path, target_dir: &Path, release: bool) -> Result<PathBuf, String> {
    ensure_wasm_target(root)?;
    let profile = if release { "wasm" } else { "wasm-dev" };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = scrubbed(cargo)
        .current_dir(root)
        .args([
            "build",
            "--locked",
            "--package",
            "snowbank-frontend",
            "--bin",
            "app",
        ])
        .args([
            "--target",
            WASM_TARGET,
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target_dir)
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !status.success() {
        return Err("`cargo build -p snowbank-frontend` failed, see above".into());
    }
    let wasm = target_dir.join(WASM_TARGET).join(profile).join("app.wasm");
    if wasm.is_file() {
        Ok(wasm)
    } else {
        Err(format!("{} was not made", wasm.display()))
    }
}

/// Adds the wasm target where it is missing and rustup can do it.
fn ensure_wasm_target(root: &Path) -> Result<(), String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = scrubbed(rustc)
        .current_dir(root)
        .args(["--print", "target-libdir", "--target", WASM_TARGET])
        .output()
        .map_err(|error| format!("rustc could not be started: {error}"))?;
    let libdir = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && Path::new(&libdir).is_dir() {
        return Ok(());
    }
    match scrubbed("rustup")
        .current_dir(root)
        .args(["target", "add", WASM_TARGET])
        .status()
    {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!(
            "`rustup target add {WASM_TARGET}` failed, see above"
        )),
        Err(_) => Err(format!(
            "this Rust toolchain lacks the standard library for {WASM_TARGET}, and there is no rustup to add it. \
             Install it with your distribution's packages or by rustup"
        )),
    }
}

/// The program with its JavaScript glue, and the parts cut off it.
struct Glue {
    js: String,
    wasm: Vec<u8>,
    /// The script that fetches parts, which it calls `./NAME.wasm`.
    parts_js: String,
    /// By name.
    parts: BTreeMap<String, Vec<u8>>,
}

/// How the glue and the script that fetches parts call each other before they have their names.
const APP_JS: &str = "app.js";
const PARTS_JS: &str = "parts.js";

fn bind(wasm: &Path, target_dir: &Path, release: bool) -> Result<Glue, String> {
    let dir = target_dir.join(if release { "bound" } else { "bound-dev" });
    let _ = fs::remove_dir_all(&dir);
    let (whole, main) = (read(wasm)?, dir.join("main.wasm"));
    let mut cut = wasm_split_cli_support::Options::new(&whole);
    let (main_module, link_name) = (format!("./{APP_JS}"), format!("./{PARTS_JS}"));
    cut.output_dir = &dir;
    cut.main_out_path = &main;
    cut.main_module = &main_module;
    cut.link_name = &link_name;
    let files = wasm_split_cli_support::transform(cut)
        .map_err(|error| format!("wasm-split: {error:#}"))?
        .split_modules;
    let parts = files
        .iter()
        .map(|file| {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            read(file).map(|bytes| (name.into_owned(), bytes))
        })
        .collect::<Result<_, _>>()?;

    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen
        .input_path(&main)
        .out_name("app")
        .typescript(false)
        .omit_default_module_path(true)
        .keep_debug(false)
        // What the parts use of the program.
        .keep_lld_exports(true)
        .remove_name_section(release)
        .remove_producers_section(true)
        .web(true)
        .and_then(|bindgen| bindgen.generate(&dir))
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    if dir.join("snippets").exists() {
        return Err(
            "a dependency of the dashboard brings JavaScript snippets, which have no hashed names"
                .into(),
        );
    }
    let (js, wasm) = names::shorten(
        &read_text(&dir.join(APP_JS))?,
        &read(&dir.join("app_bg.wasm"))?,
    )?;
    Ok(Glue {
        js,
        wasm,
        parts_js: read_text(&dir.join(PARTS_JS))?,
        parts,
    })
}

/// Names the assets by their content and fills the names into what refers to them.
fn assemble(root: &Path, glue: &Glue) -> Result<(String, BTreeMap<String, Vec<u8>>), String> {
    let frontend = root.join("frontend");
    let mut assets = Assets::default();
    assets.add("{{css}}", "style", "css", stylesheet(&root.join("style"))?);
    assets.add(
        "{{theme}}",
        "theme",
        "js",
        read(&frontend.join("theme.js"))?,
    );
    assets.add(
        "{{favicon}}",
        "favicon",
        "svg",
        read(&frontend.join("favicon.svg"))?,
    );
    assets.add("{{app_wasm}}", "app", "wasm", glue.wasm.clone());

    let mut parts_js = glue.parts_js.clone();
    // One hash for all of them: where one changes most do, and the first page loads the script that
    // names them, in which a hash for each would be a kilobyte that no packer makes smaller.
    let mut all = Sha256::new();
    for bytes in glue.parts.values() {
        all.update(Sha256::digest(bytes));
    }
    let all = all.finalize();
    for (part, bytes) in &glue.parts {
        let name = named(part, "wasm", &[&all]);
        parts_js = parts_js.replace(&format!("\"./{part}.wasm\""), &format!("\"./{name}\""));
        assets.files.insert(name, bytes.clone());
    }
    // These two name each other, so both are named by the content of both.
    let both = [glue.js.as_bytes(), parts_js.as_bytes()];
    let (app, parts) = (named("app", "js", &both), named("parts", "js", &both));
    // Only where it imports: the program itself keeps calling its imports as they were.
    let refer = |text: &str, to: &str, name: &str| {
        let text = text.replace(&format!("from \"./{to}\""), &format!("from \"./{name}\""));
        without_comments(&text)
    };
    assets.insert(
        "{{app_js}}",
        app.clone(),
        refer(&glue.js, PARTS_JS, &parts).into_bytes(),
    );
    assets.insert(
        "{{parts_js}}",
        parts,
        refer(&parts_js, APP_JS, &app).into_bytes(),
    );

    let boot = assets.fill(&read_text(&frontend.join("boot.js"))?);
    assets.add("{{boot}}", "boot", "js", boot.into_bytes());
    let worker = assets.fill(&read_text(&frontend.join("worker.js"))?);
    assets.add("{{worker}}", "worker", "js", worker.into_bytes());
    let index = assets.fill(&read_text(&frontend.join("index.html"))?);
    Ok((index, assets.files))
}

/// Glue as it is written for readers, without the lines that are only for them: comments, blank
/// lines, what lines are indented by. Where a text goes over several lines, all stays as it is.
fn without_comments(script: &str) -> String {
    if script
        .lines()
        .any(|line| line.matches('`').count() % 2 == 1)
    {
        return script.to_owned();
    }
    let mut kept = String::with_capacity(script.len());
    let mut within = false;
    for line in script.lines().map(str::trim) {
        let begins = line.starts_with("/*");
        if within || begins {
            within = !line.ends_with("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// `STEM-HASH.EXTENSION`, with the beginning of the SHA-256 of what makes up the content.
fn named(stem: &str, extension: &str, content: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for piece in content {
        hash.update(piece);
    }
    format!("{stem}-{}.{extension}", &hex(&hash.finalize())[..16])
}

/// Files by name, and the names that stand for placeholders.
#[derive(Default)]
struct Assets {
    files: BTreeMap<String, Vec<u8>>,
    names: Vec<(&'static str, String)>,
}

impl Assets {
    fn add(&mut self, placeholder: &'static str, stem: &str, extension: &str, bytes: Vec<u8>) {
        self.insert(placeholder, named(stem, extension, &[&bytes]), bytes);
    }

    fn insert(&mut self, placeholder: &'static str, name: String, bytes: Vec<u8>) {
        self.files.insert(name.clone(), bytes);
        self.names.push((placeholder, name));
    }

    fn fill(&self, template: &str) -> String {
        self.names
            .iter()
            .fold(template.to_owned(), |text, (placeholder, name)| {
                text.replace(placeholder, name)
            })
    }
}

/// The files that `order.txt` names, one after the other.
fn stylesheet(dir: &Path) -> Result<Vec<u8>, String> {
    let order = read_text(&dir.join("order.txt"))?;
    let mut css = Vec::new();
    for line in order.lines() {
        let name = line.split('#').next().unwrap_or_default().trim();
        if !name.is_empty() {
            css.extend(read(&dir.join(name))?);
            css.push(b'\n');
        }
    }
    Ok(css)
}

/// Writes the assets beside `assets.rs`, which includes them.
fn write_table(
    out_dir: &Path,
    index: &str,
    assets: &BTreeMap<String, Asset>,
) -> Result<(), String> {
    let dir = out_dir.join("assets");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let save = |name: &str, bytes: &[u8]| {
        fs::write(dir.join(name), bytes).map_err(|error| format!("{name}: {error}"))
    };
    save("index.html", index.as_bytes())?;
    let mut table = String::from(
        "/// The page of every dashboard URL, with its runtime placeholders.\n\
         pub(super) static INDEX_HTML: &str = include_str!(\"assets/index.html\");\n\
         /// The assets under `/_app/`, sorted by name.\n\
         pub(super) static ASSETS: &[Asset] = &[\n",
    );
    for (name, asset) in assets {
        save(name, &asset.bytes)?;
        let twin = |extension: &str, bytes: &Option<Vec<u8>>| -> Result<String, String> {
            let Some(bytes) = bytes else {
                return Ok("None".into());
            };
            save(&format!("{name}.{extension}"), bytes)?;
            Ok(format!(
                "Some(include_bytes!(\"assets/{name}.{extension}\"))"
            ))
        };
        let (brotli, gzip) = (twin("br", &asset.brotli)?, twin("gz", &asset.gzip)?);
        let etag = &hex(&Sha256::digest(&asset.bytes))[..32];
        writeln!(
            table,
            "    Asset {{ name: \"{name}\", etag: \"{etag}\", identity: include_bytes!(\"assets/{name}\"), \
             brotli: {brotli}, gzip: {gzip} }},"
        )
        .map_err(|error| error.to_string())?;
    }
    table.push_str("];\n");
    fs::write(out_dir.join("assets.rs"), table).map_err(|error| format!("assets.rs: {error}"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
