//! Requests that pass a proxy. The proxy is an [`Api`] too: it sees requests whose target is a whole URL, or CONNECT.

use super::{Answer, Api, Arc, Mutex, Ran, Site};

/// A proxy that answers by itself, and what it saw of each request: method and target, `Host`, `Proxy-Authorization`.
type Seen = Arc<Mutex<Vec<(String, String, Option<String>)>>>;

fn proxy(status: u16) -> (Api, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let api = Api::answering(move |_, request| {
        kept.lock().unwrap().push((
            format!("{} {}", request.method(), request.target()),
            request.header("host").unwrap_or_default().to_owned(),
            request.header("proxy-authorization").map(str::to_owned),
        ));
        Answer::status(status)
    });
    (api, seen)
}

/// `user:pass@` put into the proxy's URL.
fn with_password(proxy: &Api) -> String {
    proxy
        .url()
        .replace("/records", "")
        .replace("http://", "http://harbour:s3cret@")
}

fn site(url: &str, proxy: &str, sections: &str) -> Site {
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{url}\"\nproxy = \"{proxy}\"\nallow_http = true\n{sections}"
    ));
    site
}

#[test]
fn a_request_to_an_http_api_is_handed_to_the_proxy_with_the_whole_url() {
    let (proxy, seen) = proxy(200);
    let url = "http://me:word@api.example:8080/records?x=1";
    let site = site(url, &with_password(&proxy), "");
    site.import(1, 1..=3);
    site.run(&["-v", "drain"]).assert_code(0);
    proxy.assert_each_once(1..=3);
    // printf 'harbour:s3cret' | base64
    let wanted = (
        "POST http://api.example:8080/records?x=1".to_owned(),
        "api.example:8080".to_owned(),
        Some("Basic aGFyYm91cjpzM2NyZXQ=".to_owned()),
    );
    assert_eq!(
        *seen.lock().unwrap(),
        [wanted.clone(), wanted.clone(), wanted]
    );
}

#[test]
fn a_long_request_passes_the_proxy_whole() {
    let (proxy, _) = proxy(200);
    let site = site("http://api.example/records", &with_password(&proxy), "");
    let long = "x".repeat(100_000);
    let csv = format!("id,user_id,network_id,city\n1,1,1,{long}\n2,1,2,{long}\n");
    site.import_file("long.csv", csv);
    site.run(&["drain"]).assert_code(0);
    for seen in proxy.seen() {
        assert_eq!(
            seen.body,
            format!(r#"{{"networkId":"{}","city":"{long}"}}"#, seen.record)
        );
    }
    proxy.assert_each_once(1..=2);
}

#[test]
fn a_proxy_that_refuses_the_tunnel_has_not_been_sent_the_record() {
    for status in [403, 407, 502] {
        let (proxy, seen) = proxy(status);
        let gate = "[gate]\nfailures = 1\n";
        let site = site("https://api.example/records", &with_password(&proxy), gate);
        site.import(1, 1..=1);
        let ran = site.run(&["-v", "drain", "--once"]).assert_code(3);
        assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
        let target = seen.lock().unwrap()[0].0.clone();
        assert_eq!(target, "CONNECT api.example:443");
        assert_eq!(site.shell("SELECT count(*) FROM undelivered_record"), "0");
        let gate = site.shell("SELECT gate, gate_reason FROM delivery_summary");
        assert!(
            gate.starts_with("closed") && gate.contains("not sent"),
            "{gate}"
        );
        assert!(!gate.contains("s3cret"), "{gate}");
        let checked = site.run(&["check", "--probe"]).assert_code(69);
        let said = format!("the proxy makes no tunnel: it answered with HTTP {status}");
        assert!(checked.stderr.contains(&said), "{checked:?}");
    }
}

#[test]
fn a_proxy_that_is_down_has_not_been_sent_the_record_and_its_password_is_nowhere() {
    let (proxy, _) = proxy(200);
    let place = with_password(&proxy);
    drop(proxy);
    for url in ["http://api.example/records", "https://api.example/records"] {
        let site = site(url, &place, "[gate]\nfailures = 1\n");
        site.import(1, 1..=1);
        let ran = site.run(&["-v", "drain", "--once"]).assert_code(3);
        let checked = site.run(&["check", "--probe"]).assert_code(69);
        assert_eq!(site.shell("SELECT count(*) FROM undelivered_record"), "0");
        let gate = site.shell("SELECT gate, gate_reason FROM delivery_summary");
        assert!(
            gate.starts_with("closed") && gate.contains("not sent"),
            "{gate}"
        );
        for said in [
            &gate,
            &ran.stderr,
            &ran.stdout,
            &checked.stderr,
            &checked.stdout,
        ] {
            assert!(!said.contains("s3cret"), "{said}");
        }
    }
}

#[test]
fn a_proxy_that_repeats_its_password_does_not_put_it_into_the_file_or_the_log() {
    let proxy = Api::answering(|_, request| {
        let shown = request.header("proxy-authorization").unwrap_or_default();
        Answer::text(407, format!("{shown} is harbour:s3cret"))
    });
    let url = "http://api.example/records";
    let site = site(url, &with_password(&proxy), "");
    site.import(1, 1..=1);
    let ran = site.run(&["-vv", "drain", "--once"]).assert_code(3);
    let gate = site.shell("SELECT gate_reason FROM delivery_summary");
    assert_eq!(
        gate,
        "HTTP 407 Proxy Authentication Required: Basic *** is harbour:***"
    );
    for secret in ["s3cret", "aGFyYm91cjpzM2NyZXQ"] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

#[test]
fn a_proxy_of_the_environment_is_left_out_for_the_hosts_of_no_proxy() {
    for (no_proxy, proxied) in [("api.example, 127.0.0.1", false), ("api.example", true)] {
        let (proxy, _) = proxy(200);
        let api = Api::accepting();
        let site = site(&api.url(), "env", "");
        site.import(1, 1..=1);
        let mut command = site.ferryd(&["drain"]);
        command
            .env("http_proxy", with_password(&proxy))
            .env("NO_PROXY", no_proxy)
            .env_remove("no_proxy");
        Ran::wait(command).assert_code(0);
        assert_eq!(!proxy.seen().is_empty(), proxied, "{no_proxy}");
        assert_eq!(api.seen().is_empty(), proxied, "{no_proxy}");
    }
}

#[test]
fn a_proxy_of_the_environment_that_cannot_be_used_is_refused_and_not_left_out() {
    let api = Api::accepting();
    let site = site(&api.url(), "env", "");
    site.import(1, 1..=1);
    let mut command = site.ferryd(&["drain"]);
    command.env("http_proxy", "socks5://harbour:s3cret@127.0.0.1:1");
    for name in ["NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    let ran = Ran::wait(command).assert_code(78);
    assert!(
        ran.stderr.contains("http_proxy") && !ran.stderr.contains("s3cret"),
        "{ran:?}"
    );
    assert!(api.seen().is_empty());
}
