//! Where requests begin and end, and what is refused.

use super::*;

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = echo();
    let mut client = Client::connect(&server);
    for number in 0..3 {
        client.send(&format!(
            "POST /{number} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
        ));
        let answer = client.until("]");
        assert!(
            answer.ends_with(&format!("\r\n\r\nPOST /{number} [ab]")),
            "{answer}"
        );
        assert!(!answer.contains("Connection: close"), "{answer}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = echo();
    let mut client = Client::connect(&server);
    client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.until("]").ends_with("POST /a [1]"));
    assert!(client.until("]").ends_with("GET /b []"));
}

#[test]
fn a_request_in_single_bytes_is_understood() {
    let server = echo();
    let mut client = Client::connect(&server);
    for byte in
        "PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            .chars()
    {
        client.send(&byte.to_string());
    }
    assert!(client.until("]").ends_with("PUT /x [abc]"));
}

#[test]
fn chunks_are_joined_and_trailers_skipped() {
    let server = echo();
    let mut client = Client::connect(&server);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n");
    client.send("3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nA: b\r\nC: d\r\n\r\n");
    assert!(client.until("]").ends_with("[abc0123456789]"));
    client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.until("]").ends_with("GET /next []"));
}

#[test]
fn a_body_larger_than_the_buffer_arrives_whole() {
    let server = serve(
        |request| {
            let whole = request.body.iter().enumerate();
            let right = whole.filter(|(at, byte)| (at % 251) as u8 == **byte);
            Answer::text(200, format!("[{}]", right.count()))
        },
        Limits::default(),
    );
    let body: Vec<u8> = (0..300_000).map(|at| (at % 251) as u8).collect();
    let mut client = Client::connect(&server);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n");
    client.0.write_all(&body).unwrap();
    assert!(client.until("]").ends_with("[300000]"));
}

#[test]
fn headers_are_found_whatever_their_case() {
    let server = serve(
        |request| {
            assert_eq!(request.headers().count(), 3);
            assert_eq!(request.header("absent"), None);
            Answer::text(
                200,
                format!("[{}]", request.header("IDEMPOTENCY-key").unwrap()),
            )
        },
        Limits::default(),
    );
    let mut client = Client::connect(&server);
    client
        .send("GET / HTTP/1.1\r\nHost: x\r\nIdempotency-Key:  k 1 \r\nidempotency-key: k2\r\n\r\n");
    assert!(client.until("]").ends_with("[k 1]"));
}

#[test]
fn malformed_requests_are_answered_400_and_closed() {
    let server = echo();
    for request in [
        "GARBAGE\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n;a=b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;\na\r\nb\r\n0\r\n\r\n",
    ] {
        let answer = only_answer(&server, request);
        assert_eq!(status_of(&answer), "400", "{request:?}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
}

#[test]
fn the_same_length_twice_is_harmless() {
    let server = echo();
    let mut client = Client::connect(&server);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na");
    assert!(client.until("]").ends_with("[a]"));
}

#[test]
fn an_unknown_transfer_coding_is_answered_501() {
    let request = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    assert_eq!(status_of(&only_answer(&echo(), request)), "501");
}

#[test]
fn a_body_over_the_limit_is_answered_413() {
    let server = echo_within(Limits {
        body: 10,
        ..Limits::default()
    });
    let mut client = Client::connect(&server);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789");
    assert!(client.until("]").ends_with("[0123456789]"));
    for framing in [
        "Content-Length: 11\r\n\r\n",
        "Content-Length: 99999999999999999999\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n01234\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}");
        assert_eq!(
            status_of(&only_answer(&server, &request)),
            "413",
            "{framing}"
        );
    }
}

#[test]
fn a_refused_body_that_is_still_sent_does_not_lose_the_answer() {
    let server = echo_within(Limits {
        body: 10,
        ..Limits::default()
    });
    let body = "x".repeat(1_000_000);
    let answer = only_answer(
        &server,
        &format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{body}"),
    );
    assert_eq!(status_of(&answer), "413");
}

#[test]
fn a_head_over_16_kib_is_answered_431() {
    let server = echo();
    let start = "GET / HTTP/1.1\r\nHost: x\r\nLong: ";
    let fitting = "x".repeat(16 * 1024 - start.len() - 4);
    let mut client = Client::connect(&server);
    client.send(&format!("{start}{fitting}\r\n\r\n"));
    assert!(client.until("]").ends_with("GET / []"));
    let answer = only_answer(&server, &format!("{start}{fitting}x\r\n\r\n"));
    assert_eq!(status_of(&answer), "431");
}

#[test]
fn more_than_64_headers_are_answered_431() {
    let server = echo();
    let most = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}",
        "A: b\r\n".repeat(62)
    );
    let answer = only_answer(&server, &format!("{most}\r\n"));
    assert_eq!(status_of(&answer), "200");
    let answer = only_answer(&server, &format!("{most}A: b\r\n\r\n"));
    assert_eq!(status_of(&answer), "431");
}

#[test]
fn a_client_that_expects_continue_is_told_to() {
    let server = echo();
    let mut client = Client::connect(&server);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n");
    assert_eq!(client.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ab");
    assert!(client.until("]").ends_with("[ab]"));
}

#[test]
fn a_client_that_expects_continue_is_refused_before_its_long_body() {
    let server = echo();
    let request =
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(status_of(&only_answer(&server, request)), "413");
}

#[test]
fn head_is_answered_with_the_length_but_no_body() {
    let answer = only_answer(
        &echo(),
        "HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.contains("\r\nContent-Length: 10\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn http_1_0_and_connection_close_end_the_connection() {
    let server = echo();
    for request in [
        "GET /x HTTP/1.0\r\n\r\n",
        "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: x\r\nConnection: TE, Close\r\n\r\n",
    ] {
        let answer = only_answer(&server, request);
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("GET /x []"), "{answer}");
    }
}
