//! How many connections a source may hold, through the real configuration.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Site, stderr};

/// Asks for a WebSocket; `None` where the connection is closed without a word.
fn connect(site: &Site) -> Option<TcpStream> {
    let mut stream = TcpStream::connect((site.ip, 8080)).expect("a listener");
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Protocol: sip\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).ok()?;
    assert_eq!(&status, b"HTTP/1.1 101");
    Some(stream)
}

#[test]
fn a_source_holds_what_the_listener_says_and_one_on_the_allow_list_what_it_likes() {
    let site = Site::new("connections");
    let one_each = site.good().replacen("zone =", "connections_per_source = 1\nzone =", 1);
    let config = site.write("sbc.toml", &one_each);
    let running = site.start(&config);
    let first = connect(&site);
    assert!(first.is_some() && connect(&site).is_none());
    site.write("sbc.toml", &format!("{one_each}[admission]\nallow = [\"127.0.0.0/8\"]\n"));
    let reloaded = site.end(&["reload", "--admin", &site.admin()]);
    assert!(reloaded.status.success(), "{}", stderr(&reloaded));
    let held: Vec<_> = (0..3).map(|_| connect(&site)).collect();
    assert!(held.iter().all(Option::is_some));
    assert!(running.stop("TERM").success());
}
