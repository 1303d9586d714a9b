//! `cargo xtask demo`: a static file server on loopback for the built page.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

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
    // Links could lead outside of the folder: what counts is where the file really is.
    let found = file.canonicalize().ok().filter(|file| file.starts_with(folder));
    let Some(opened) = found.as_deref().and_then(|file| File::open(file).ok()) else {
        return request.respond(Response::from_string("not found").with_status_code(404));
    };
    let mut response = Response::from_file(opened)
        .with_header(header("Content-Type", mime_type(&file)))
        .with_header(header("Cache-Control", "no-cache"));
    if isolated {
        response.add_header(header("Cross-Origin-Opener-Policy", "same-origin"));
        response.add_header(header("Cross-Origin-Embedder-Policy", "require-corp"));
    }
    request.respond(response)
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
        std::fs::write(site.join("sub/a.wasm"), "\0asm").unwrap();
        std::fs::write(folder.join("secret"), "secret").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.join("secret"), site.join("link")).unwrap();
        let site = site.canonicalize().unwrap();

        let server = Arc::new(listen(0).unwrap());
        let address = server.server_addr().to_ip().unwrap();
        let running = Arc::clone(&server);
        let thread = std::thread::spawn(move || serve(&running, &site, true));
        let ask = |line: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };

        let page = ask("GET /");
        assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("<p>page"), "{page}");
        assert!(page.contains("Cross-Origin-Opener-Policy: same-origin"), "{page}");
        let wasm = ask("GET /sub/a.wasm?v=1");
        assert!(wasm.contains("Content-Type: application/wasm"), "{wasm}");
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
