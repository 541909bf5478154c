//! What the way to a sandbox costs, against nginx doing the same work, in turns in one run.
//!
//! ```text
//! apt-get download nginx wrk libluajit-5.1-2 && for package in *.deb; do dpkg -x "$package" unpacked; done
//! export BENCH_NGINX=$PWD/unpacked/usr/sbin/nginx BENCH_WRK=$PWD/unpacked/usr/bin/wrk LD_LIBRARY_PATH=$PWD/unpacked/usr/lib/x86_64-linux-gnu
//! cargo bench -p podbay-exec-proxy --bench proxy -- requests latency sockets
//! ```
//!
//! `requests`: requests per second of 64 connections, small answers, five rounds in turns. `latency`: what one connection waits
//! longer than without us. `sockets`: memory of the proxy with 5,000 idle WebSockets (`ulimit -n 20000`); client, proxy and sandbox
//! are three processes.

#![expect(clippy::print_stdout, reason = "a program whose output are its figures")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that fails ends"
)]

mod nginx;
mod processes;
mod service;
mod sockets;
mod wrk;

use std::io::Write as _;

use processes::Child;
use wrk::Figures;

const ROUNDS: usize = 5;

fn main() {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    match asked[..] {
        // The processes of a measurement.
        ["proxy", sandbox] => service::run(sandbox),
        ["sandbox"] => sockets::sandbox(),
        ["client", proxy, count] => sockets::client(proxy, count.parse().unwrap()),
        [] => println!("usage: cargo bench --bench proxy -- requests | latency | sockets ..."),
        _ => {
            for what in asked {
                println!("## {what}");
                match what {
                    "requests" => requests(),
                    "latency" => latency(),
                    "sockets" => sockets::measure(),
                    other => println!("nothing is called {other}"),
                }
            }
        }
    }
}

/// In turns, each with its own sandbox process untouched: only the proxy differs.
fn requests() {
    let sandbox = nginx::sandbox();
    let nginx = nginx::proxy(sandbox.port);
    let ours = Child::ourselves(&["proxy", &sandbox.port.to_string()]);
    let mut rounds: Vec<(Figures, Figures)> = Vec::new();
    for round in 1..=ROUNDS {
        let theirs = wrk::run(nginx.port, 64, 5);
        let own = wrk::run(ours.port, 64, 5);
        println!(
            "round {round}: nginx {theirs} · podbay {own} · {:.2} x",
            own.rate / theirs.rate
        );
        let _ = std::io::stdout().flush();
        rounds.push((theirs, own));
    }
    rounds.sort_by(|one, other| (one.1.rate / one.0.rate).total_cmp(&(other.1.rate / other.0.rate)));
    let (theirs, own) = &rounds[ROUNDS / 2];
    println!(
        "median round: {:.2} x of nginx's requests per second, {:.2} x of its p99",
        own.rate / theirs.rate,
        own.p99_ms / theirs.p99_ms
    );
}

fn latency() {
    let sandbox = nginx::sandbox();
    let nginx = nginx::proxy(sandbox.port);
    let ours = Child::ourselves(&["proxy", &sandbox.port.to_string()]);
    for round in 1..=ROUNDS {
        let [direct, theirs, own] = [sandbox.port, nginx.port, ours.port].map(|port| wrk::run(port, 1, 3));
        println!(
            "round {round}: p50 direct {:.3} ms · by nginx {:.3} · by podbay {:.3}: {:.3} ms longer",
            direct.p50_ms,
            theirs.p50_ms,
            own.p50_ms,
            own.p50_ms - direct.p50_ms
        );
    }
}
