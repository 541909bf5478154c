//! nginx: as a proxy doing our work, and as a sandbox's server that costs little.

use std::process::Command;

use crate::processes::{Child, free_port};
use crate::service::{HOST, KEY};

/// The program: `BENCH_NGINX`, or that of the path.
fn start(http: &str, workers: u32, port: u16) -> Child {
    let directory = std::env::temp_dir().join(format!("podbay-bench-nginx-{port}"));
    std::fs::create_dir_all(&directory).unwrap();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};", directory.display()))
        .concat();
    let text = format!(
        "daemon off; worker_processes {workers}; pid {0}/pid; error_log {0}/error.log crit;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; {paths}\n{http} }}\n",
        directory.display()
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let program = std::env::var("BENCH_NGINX").unwrap_or_else(|_| "nginx".to_owned());
    let mut command = Command::new(program);
    command
        .args(["-e", "stderr", "-p"])
        .arg(&directory)
        .arg("-c")
        .arg(&file);
    Child::other(&mut command, port)
}

/// A server with a small answer.
pub(crate) fn sandbox() -> Child {
    let port = free_port();
    let http = format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ default_type text/plain; return 200 ok; }} }}"
    );
    start(&http, 1, port)
}

/// The same work: host to upstream, key, headers; HTTP/1.1 and connections kept.
pub(crate) fn proxy(sandbox: u16) -> Child {
    let port = free_port();
    let http = format!(
        "map $host $sandbox {{ default ''; {HOST} one; }}\n\
         map $http_x_session_api_key $is_known {{ default 0; {KEY} 1; }}\n\
         upstream one {{ server 127.0.0.1:{sandbox}; keepalive 64; keepalive_requests 1000000000; }}\n\
         server {{ listen 127.0.0.1:{port};\n\
           location / {{ if ($is_known = 0) {{ return 401; }}\n\
             proxy_pass http://$sandbox; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host;\n\
             proxy_set_header X-API-Key ''; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host;\n\
             proxy_set_header X-Forwarded-Proto $scheme; }} }}"
    );
    start(&http, 2, port)
}
