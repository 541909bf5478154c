//! wrk: the load, and what it saw.

use std::fmt;
use std::process::Command;

use crate::service::{HOST, KEY};

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0}/s p50 {:.2} ms p99 {:.2} ms",
            self.rate, self.p50_ms, self.p99_ms
        )
    }
}

/// So many connections for so many seconds, by one thread.
pub(crate) fn run(port: u16, connections: u32, seconds: u32) -> Figures {
    let program = std::env::var("BENCH_WRK").unwrap_or_else(|_| "wrk".to_owned());
    let output = Command::new(program)
        .args([
            "--latency",
            "-t1",
            &format!("-c{connections}"),
            &format!("-d{seconds}s"),
        ])
        .args([
            "-H",
            &format!("Host: {HOST}"),
            "-H",
            &format!("X-Session-API-Key: {KEY}"),
        ])
        .args([
            "-H",
            "X-API-Key: another",
            "-H",
            "Accept: */*",
            "-H",
            "User-Agent: bench/1",
        ])
        .arg(format!("http://127.0.0.1:{port}/alive"))
        .output()
        .expect("wrk can be run");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    let after = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or(text.as_str()).trim().to_owned()
    };
    Figures {
        rate: after("Requests/sec:").parse().unwrap(),
        p50_ms: milliseconds(&after("50%")),
        p99_ms: milliseconds(&after("99%")),
    }
}

fn milliseconds(text: &str) -> f64 {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap();
    let number: f64 = text[..at].parse().unwrap();
    number
        * match &text[at..] {
            "us" => 0.001,
            "ms" => 1.0,
            _ => 1000.0,
        }
}
