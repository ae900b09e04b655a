//! `steadfast broker`: the simulated broker on its own, for any client; also the child process of `--broker simulated`.

use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGINT, SIGTERM};
use steadfast_broker::Settings;
use steadfast_broker::front::{self, FrontError, Options, Ports};

use crate::cli::BrokerArgs;
use crate::exit::Exit;

/// Serves until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &BrokerArgs) -> Exit {
    let options = match options(args) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("error: {why}");
            return Exit::Usage;
        }
    };
    let stop = UnixStream::pair().and_then(|(stop, signalled)| {
        signal_hook::low_level::pipe::register(SIGINT, signalled.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGTERM, signalled)?;
        Ok(stop)
    });
    let stop = match stop {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("error: cannot listen for signals: {error}");
            return Exit::ToolError;
        }
    };
    let data = options.data.display().to_string();
    let mut ready = |ports: &[Ports]| {
        for (node, ports) in (1..).zip(ports) {
            println!(
                "node {node}: 127.0.0.1:{}, admin 127.0.0.1:{}",
                ports.client, ports.admin
            );
        }
        println!("ready; data in {data}");
    };
    match front::run(options, stop.into(), &mut ready) {
        Ok(()) => Exit::Pass,
        Err(error) => {
            eprintln!("error: {error}");
            match error {
                FrontError::Folder { .. } => Exit::Usage,
                FrontError::Damaged { .. } => Exit::ToolError,
                FrontError::Listen { .. } | FrontError::Io { .. } => Exit::Environment,
            }
        }
    }
}

fn options(args: &BrokerArgs) -> Result<Options, String> {
    let mut settings = Settings {
        nodes: args.nodes.into(),
        ..Settings::default()
    };
    for property in &args.property {
        let (name, value) = property
            .split_once('=')
            .ok_or_else(|| format!("-X {property}: expected PROPERTY=VALUE"))?;
        settings
            .set(name.trim(), value)
            .map_err(|error| format!("-X {error}"))?;
    }
    let client = each("--port", &args.port, args.nodes)?;
    let admin = each("--admin-port", &args.admin_port, args.nodes)?;
    let advertised = match args.advertised_port.as_slice() {
        [] => vec![None; args.nodes.into()],
        ports => each("--advertised-port", ports, args.nodes)?
            .into_iter()
            .map(Some)
            .collect(),
    };
    let ports = client.into_iter().zip(admin).zip(advertised);
    let ports = ports.map(|((client, admin), advertised)| Ports {
        client,
        admin,
        advertised,
    });
    Ok(Options {
        data: args.data.clone(),
        settings,
        ports: ports.collect(),
    })
}

/// A port for each node: as given, or counted on from the only one.
fn each(flag: &str, given: &[u16], nodes: u16) -> Result<Vec<u16>, String> {
    match given {
        [0] => Ok(vec![0; nodes.into()]),
        [first] if u32::from(*first) + u32::from(nodes) - 1 <= u32::from(u16::MAX) => {
            Ok((0..nodes).map(|node| first + node).collect())
        }
        _ if given.len() == usize::from(nodes) => Ok(given.to_vec()),
        _ => Err(format!(
            "{flag}: {} ports for {nodes} nodes; give one, or one for each node",
            given.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_count_on_or_stand_one_by_one() {
        assert_eq!(each("--port", &[9092], 3), Ok(vec![9092, 9093, 9094]));
        assert_eq!(each("--port", &[0], 2), Ok(vec![0, 0]));
        assert_eq!(each("--port", &[5, 9], 2), Ok(vec![5, 9]));
        assert_eq!(each("--port", &[65_535], 1), Ok(vec![65_535]));
        for (given, nodes) in [(&[5, 9][..], 3), (&[65_535][..], 2), (&[][..], 1)] {
            assert!(
                each("--port", given, nodes)
                    .expect_err("refused")
                    .contains("--port")
            );
        }
    }
}
