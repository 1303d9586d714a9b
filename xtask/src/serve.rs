//! `cargo xtask demo`: a static file server on loopback for the built page.

use std::fs::{File, Metadata};
use std::net::Ipv4Addr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

use crate::{bundle, shell::say};

/// Requests of one page come over several connections at once.
const THREADS: usize = 4;

/// What to serve.
pub struct Options {
    /// 0 takes any free port.
    pub port: u16,
    /// Send the headers that make a page cross-origin isolated, so that it may use threads.
    pub isolated: bool,
    /// Build first.
    pub build: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 8080, isolated: false, build: true }
    }
}

/// Builds everything and serves the page until it is stopped.
pub fn demo(options: Options) -> Result<()> {
    // Before the build: nobody wants to wait minutes to hear that the port is busy.
    let server = Arc::new(listen(options.port)?);
    if options.build {
        bundle::build(bundle::Options::default())?;
    }
    let folder = Path::new("www/dist");
    let folder = folder.canonicalize().context("www/dist is missing: run without --no-build")?;
    let port = server.server_addr().to_ip().map_or(options.port, |address| address.port());
    say("serving www/dist; stop it by Ctrl+C");
    println!("http://127.0.0.1:{port}/");
    serve(&server, &folder, options.isolated);
    Ok(())
}

fn listen(port: u16) -> Result<Server> {
    match std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(listener) => Server::from_listener(listener, None)
            .map_err(|error| anyhow::anyhow!("the server cannot start: {error}")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {port} is busy: another program listens on 127.0.0.1:{port}; choose another one \
             by `--port N`, or `--port 0` for any that is free"
        ),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            bail!("port {port} is not allowed to this user: choose one above 1023 by `--port N`")
        }
        Err(error) => Err(error).with_context(|| format!("127.0.0.1:{port} cannot be listened on")),
    }
}

/// Answers requests until the server is unblocked.
fn serve(server: &Arc<Server>, folder: &Path, isolated: bool) {
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let server = Arc::clone(server);
            let folder = folder.to_owned();
            std::thread::spawn(move || {
                for request in server.incoming_requests() {
                    // A browser that closes the connection early is no concern of the server.
                    answer(request, &folder, isolated).ok();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().ok();
    }
}

fn answer(request: Request, folder: &Path, isolated: bool) -> std::io::Result<()> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return request.respond(Response::empty(StatusCode(405)));
    }
    let Some(mut file) = path_of(request.url(), folder) else {
        return request.respond(Response::from_string("bad path").with_status_code(400));
    };
    if file.is_dir() {
        // Relative links of an index page only work below a slash.
        if !request.url().split(['?', '#']).next().is_some_and(|path| path.ends_with('/')) {
            let location = format!("{}/", request.url());
            let response =
                Response::empty(StatusCode(301)).with_header(header("Location", &location));
            return request.respond(response);
        }
        file.push("index.html");
    }
    let Some((plain, known)) = open_inside(&file, folder) else {
        return request.respond(Response::from_string("not found").with_status_code(404));
    };
    let accepted = request_header(&request, "Accept-Encoding").unwrap_or_default();
    let packed = ENCODINGS.iter().filter(|(name, _)| accepts(&accepted, name)).find_map(|pair| {
        let (opened, packed) = open_inside(&with_suffix(&file, pair.1), folder)?;
        // An older one is of a file that is no longer there.
        (packed.modified().ok()? >= known.modified().ok()?).then_some((opened, packed, pair.0))
    });
    let (opened, metadata, encoding) = match packed {
        Some((opened, metadata, encoding)) => (opened, metadata, Some(encoding)),
        None => (plain, known, None),
    };
    let tag = entity_tag(&metadata, encoding);
    let mut headers = vec![
        header("Content-Type", mime_type(&file)),
        header("Cache-Control", "no-cache"),
        header("ETag", &tag),
        header("Vary", "Accept-Encoding"),
    ];
    if isolated {
        headers.push(header("Cross-Origin-Opener-Policy", "same-origin"));
        headers.push(header("Cross-Origin-Embedder-Policy", "require-corp"));
    }
    let unchanged = request_header(&request, "If-None-Match")
        .is_some_and(|tags| tags.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    if unchanged {
        let mut response = Response::empty(StatusCode(304));
        headers.into_iter().for_each(|one| response.add_header(one));
        return request.respond(response);
    }
    if let Some(encoding) = encoding {
        headers.push(header("Content-Encoding", encoding));
    }
    // Chunks would leave the browser without a total to show.
    let mut response = Response::from_file(opened).with_chunked_threshold(usize::MAX);
    headers.into_iter().for_each(|one| response.add_header(one));
    request.respond(response)
}

/// Content codings, best first, with the suffix of the files that the build made by them.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// A regular file below the folder. Links could lead outside: what counts is where it really is.
fn open_inside(file: &Path, folder: &Path) -> Option<(File, Metadata)> {
    let found = file.canonicalize().ok().filter(|file| file.starts_with(folder))?;
    let opened = File::open(found).ok()?;
    let metadata = opened.metadata().ok()?;
    metadata.is_file().then_some((opened, metadata))
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Changes with the file's size, time and coding (RFC 9110, section 8.8.3).
fn entity_tag(metadata: &Metadata, encoding: Option<&str>) -> String {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanoseconds = modified.map_or(0, |time| time.as_nanos());
    format!("\"{:x}-{nanoseconds:x}{}\"", metadata.len(), encoding.unwrap_or_default())
}

fn request_header(request: &Request, name: &'static str) -> Option<String> {
    let found = request.headers().iter().find(|one| one.field.equiv(name))?;
    Some(found.value.to_string())
}

/// Whether an Accept-Encoding names a coding, and not with a weight of 0 (RFC 9110, section 12.5.3).
fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
        named && weight.is_ok_and(|weight: f32| weight > 0.0)
    })
}

/// The file that a request's target names, `None` if it does not stay below the folder.
fn path_of(target: &str, folder: &Path) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?;
    let decoded = percent_decode(path)?;
    let relative = Path::new(decoded.strip_prefix('/')?);
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let clean = inside && !decoded.contains(['\\', '\0']);
    clean.then(|| folder.join(relative))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn mime_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "jpg" | "jpeg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        // Browsers compile while they download only if it is called this.
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "webp" => "image/webp",
        _ => "application/octet-stream",
    }
}

/// Header values here are our own or a URL without line breaks (HTTP's parser saw to that).
fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).unwrap_or_else(|()| panic!("{name}: {value:?} is not a header"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    #[test]
    fn targets_stay_below_the_folder() {
        let folder = Path::new("/site");
        let path = |target| path_of(target, folder);
        assert_eq!(path("/"), Some("/site/".into()));
        assert_eq!(path("/a/b.js?x=/../y#z"), Some("/site/a/b.js".into()));
        assert_eq!(path("/ol%C3%A1%20x.png"), Some("/site/olá x.png".into()));
        for target in [
            "",
            "a.js",
            "/../secret",
            "/a/../../secret",
            "/%2e%2e/secret",
            "/a/%2E%2e%2f..%2fsecret",
            "//etc/passwd",
            "/%2Fetc/passwd",
            "/a\\..\\b",
            "/a%00.js",
            "/%zz",
            "/%2",
            "/%ff",
            "http://elsewhere/",
        ] {
            assert_eq!(path(target), None, "{target}");
        }
    }

    #[test]
    fn wasm_has_its_own_type() {
        assert_eq!(mime_type(Path::new("a/simd128.wasm")), "application/wasm");
        assert_eq!(mime_type(Path::new("README")), "application/octet-stream");
    }

    #[test]
    fn a_busy_port_is_said_so() {
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = listen(port).err().unwrap().to_string();
        assert!(message.contains(&format!("port {port} is busy")), "{message}");
        assert!(message.contains("--port"), "{message}");
    }

    #[test]
    fn files_are_served_and_links_do_not_lead_outside() {
        let folder = std::env::temp_dir().join(format!("achado-serve-{}", std::process::id()));
        let site = folder.join("site");
        std::fs::create_dir_all(site.join("sub")).unwrap();
        std::fs::write(site.join("index.html"), "<p>page").unwrap();
        std::fs::write(site.join("sub/a.wasm"), "\0asm".repeat(20_000)).unwrap();
        std::fs::write(site.join("stale.js.br"), "packed").unwrap();
        std::fs::write(site.join("packed.js"), "plain").unwrap();
        for (name, text) in [("packed.js.br", "brotli"), ("packed.js.gz", "gzip")] {
            std::fs::write(site.join(name), text).unwrap();
        }
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        File::create(site.join("stale.js")).unwrap().set_modified(later).unwrap();
        std::fs::write(folder.join("secret"), "secret").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.join("secret"), site.join("link")).unwrap();
        let site = site.canonicalize().unwrap();

        let server = Arc::new(listen(0).unwrap());
        let address = server.server_addr().to_ip().unwrap();
        let running = Arc::clone(&server);
        let thread = std::thread::spawn(move || serve(&running, &site, true));
        let ask_with = |line: &str, more: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n")
                .unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };
        let ask = |line: &str| ask_with(line, "");

        let page = ask("GET /");
        assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("<p>page"), "{page}");
        assert!(page.contains("Cross-Origin-Opener-Policy: same-origin"), "{page}");
        let wasm = ask("GET /sub/a.wasm?v=1");
        assert!(wasm.contains("Content-Type: application/wasm"), "{wasm}");
        assert!(wasm.contains("Content-Length: 80000"), "{wasm}");
        assert!(!wasm.contains("Transfer-Encoding"), "{wasm}");
        let head = ask("HEAD /sub/a.wasm");
        assert!(head.contains("Content-Length: 80000") && !head.contains("asm\0"), "{head}");

        // Each coding only where it is asked for, and only of the file as it is now.
        for (accepted, coding, body) in [
            ("gzip, deflate, br, zstd", Some("br"), "brotli"),
            ("gzip, br;q=0", Some("gzip"), "gzip"),
            ("GZIP;q=0.5", Some("gzip"), "gzip"),
            ("brotli, identity", None, "plain"),
        ] {
            let answer = ask_with("GET /packed.js", &format!("Accept-Encoding: {accepted}\r\n"));
            let found = answer.lines().find_map(|line| line.strip_prefix("Content-Encoding: "));
            assert_eq!(found, coding, "{answer}");
            assert!(answer.ends_with(body) && answer.contains("Content-Type: text/javascript"));
            assert!(answer.contains(&format!("Content-Length: {}", body.len())), "{answer}");
            let tag = answer.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
            let more = format!("Accept-Encoding: {accepted}\r\nIf-None-Match: \"x\", {tag}\r\n");
            assert!(ask_with("GET /packed.js", &more).starts_with("HTTP/1.1 304"), "{tag}");
        }
        let stale = ask_with("GET /stale.js", "Accept-Encoding: br\r\n");
        assert!(!stale.contains("Content-Encoding") && stale.contains("Content-Length: 0"));
        assert!(ask("GET /sub").contains("Location: /sub/"));
        assert!(ask("GET /nothing").starts_with("HTTP/1.1 404"));
        assert!(ask("GET /link").starts_with("HTTP/1.1 404"));
        assert!(ask("GET /../secret").starts_with("HTTP/1.1 400"));
        assert!(ask("POST /").starts_with("HTTP/1.1 405"));

        for _ in 0..THREADS {
            server.unblock();
        }
        thread.join().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
