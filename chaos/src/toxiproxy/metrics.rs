//! Pure: one counter out of the text that Prometheus reads (exposition format 0.0.4).

/// The value of `metric{...proxy="<proxy>"...direction="<direction>"...}`; 0 where it is not listed, as before the first count.
pub(super) fn counter(text: &str, metric: &str, proxy: &str, direction: &str) -> u64 {
    let labels = [format!("proxy=\"{proxy}\""), format!("direction=\"{direction}\"")];
    let line = text.lines().find_map(|line| {
        let (inside, value) = line.strip_prefix(metric)?.strip_prefix('{')?.rsplit_once('}')?;
        let listed: Vec<&str> = inside.split(',').collect();
        labels
            .iter()
            .all(|label| listed.contains(&label.as_str()))
            .then_some(value)
    });
    // Go prints large floats as 1.5e+07. Whole up to 2^53.
    line.and_then(|value| value.trim().parse::<f64>().ok())
        .map_or(0, |value| value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP toxiproxy_proxy_sent_bytes_total x
toxiproxy_proxy_sent_bytes_total{direction=\"downstream\",listener=\"127.0.0.1:1\",proxy=\"broker-1\",upstream=\"127.0.0.1:2\"} 100
toxiproxy_proxy_sent_bytes_total{direction=\"upstream\",listener=\"127.0.0.1:1\",proxy=\"broker-1\",upstream=\"127.0.0.1:2\"} 1.5e+07
toxiproxy_proxy_sent_bytes_total{direction=\"upstream\",listener=\"127.0.0.1:3\",proxy=\"broker-11\",upstream=\"127.0.0.1:4\"} 7
";

    #[test]
    fn one_counter_is_told_from_its_neighbours() {
        let sent = |proxy, direction| counter(TEXT, "toxiproxy_proxy_sent_bytes_total", proxy, direction);
        assert_eq!(sent("broker-1", "downstream"), 100);
        assert_eq!(sent("broker-1", "upstream"), 15_000_000);
        assert_eq!(sent("broker-11", "upstream"), 7);
        assert_eq!(sent("broker-11", "downstream"), 0);
        assert_eq!(
            counter(TEXT, "toxiproxy_proxy_sent_bytes", "broker-1", "upstream"),
            0
        );
    }
}
