//! Pure: what stands in each node's `server.properties`, and which of it differs from Kafka's defaults and why.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use steadfast_verifier::environment::Setting;

use super::admin::Configured;
use crate::error::ChaosError;

/// Node ids of dedicated controllers count from here, so that brokers keep 1, 2, 3.
pub(crate) const FIRST_CONTROLLER_ID: u32 = 101;

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeRole {
    /// Broker and controller in one process.
    Combined,
    /// Broker only.
    Broker,
    /// Dedicated controller.
    Controller,
}

impl NodeRole {
    pub(crate) fn is_broker(self) -> bool {
        self != NodeRole::Controller
    }

    pub(crate) fn is_controller(self) -> bool {
        self != NodeRole::Broker
    }
}

/// A node before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodePlan {
    /// `node.id`.
    pub(crate) id: u32,
    /// What it is for.
    pub(crate) role: NodeRole,
    /// Listener of clients.
    pub(crate) client_port: u16,
    /// Listener of verifier and admin, and of the other brokers if they have none of their own; never proxied.
    pub(crate) admin_port: u16,
    /// Listener of the controller quorum.
    pub(crate) controller_port: u16,
    /// Listener of the other brokers, where the links between brokers are to be hurt; 0 = that of the verifier.
    pub(crate) replication_port: u16,
    /// What clients are told: the client port, or the port of the proxy in front of it.
    pub(crate) advertised_port: u16,
}

impl NodePlan {
    /// The name under which other brokers know it, where the links between brokers are to be hurt: to each of them it is an
    /// address of its own.
    pub(crate) fn host_name(&self) -> String {
        format!("{}.steadfast", self.name())
    }

    /// Whether the links between brokers are to be hurt.
    pub(crate) fn is_linked(&self) -> bool {
        self.replication_port != 0
    }

    pub(crate) fn name(&self) -> String {
        match self.role {
            NodeRole::Controller => format!("controller-{}", self.id - FIRST_CONTROLLER_ID + 1),
            NodeRole::Combined | NodeRole::Broker => format!("broker-{}", self.id),
        }
    }
}

/// How many ports [`plan`] takes.
pub(crate) fn ports_needed(brokers: u32, controllers: u32, fronted: Fronted) -> usize {
    let per_broker = 3 + u32::from(fronted.clients) + u32::from(fronted.brokers);
    (brokers * per_broker + controllers) as usize
}

/// Whose connections to brokers go through proxies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fronted {
    /// Those of clients.
    pub(crate) clients: bool,
    /// Those of other brokers.
    pub(crate) brokers: bool,
}

/// Lays out the nodes over free ports. Without dedicated controllers every broker is one.
pub(crate) fn plan(brokers: u32, controllers: u32, fronted: Fronted, ports: &[u16]) -> Vec<NodePlan> {
    let mut ports = ports.iter().copied();
    let mut next = || ports.next().unwrap_or(0);
    let mut nodes = Vec::new();
    for id in 1..=brokers {
        let role = if controllers == 0 {
            NodeRole::Combined
        } else {
            NodeRole::Broker
        };
        let (client_port, admin_port, controller_port) = (next(), next(), next());
        let advertised_port = if fronted.clients { next() } else { client_port };
        let replication_port = if fronted.brokers { next() } else { 0 };
        nodes.push(NodePlan {
            id,
            role,
            client_port,
            admin_port,
            controller_port,
            replication_port,
            advertised_port,
        });
    }
    for id in (FIRST_CONTROLLER_ID..).take(controllers as usize) {
        let controller_port = next();
        let (client_port, admin_port, replication_port, advertised_port) = (0, 0, 0, 0);
        let role = NodeRole::Controller;
        nodes.push(NodePlan {
            id,
            role,
            client_port,
            admin_port,
            controller_port,
            replication_port,
            advertised_port,
        });
    }
    nodes
}

/// Broker settings that say which node this is and how it is reached: a scenario that sets them would take the cluster away
/// from the run that starts and heals it.
pub const OWNED: &[&str] = &[
    "advertised.listeners",
    "broker.id",
    "controller.listener.names",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "node.id",
    "process.roles",
    "security.inter.broker.protocol",
];

/// Refuses settings that would pull the cluster from under the harness.
pub(crate) fn check(properties: &BTreeMap<String, String>) -> Result<(), ChaosError> {
    match properties.keys().find(|name| OWNED.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(ChaosError::Refused {
            what: format!("[cluster.properties] sets {name}, which steadfast itself has to choose"),
            mend: format!("leave {name} out"),
        }),
    }
}

/// Settings of ours that differ from Kafka's defaults, each with its reason; those that the scenario sets are not ours then.
pub(crate) fn house_settings(
    brokers: u32,
    share_groups: bool,
    properties: &BTreeMap<String, String>,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut add = |name: &str, value: String, default: &str, reason: &str| {
        if value != default && !properties.contains_key(name) {
            let (name, default, reason) = (name.into(), default.into(), reason.into());
            settings.push(Setting {
                scope: "broker".into(),
                name,
                value,
                default,
                reason,
            });
        }
    };
    let copies = brokers.min(3).to_string();
    let in_sync = brokers.min(2).to_string();
    let few = "fewer brokers than Kafka's default number of copies";
    add("offsets.topic.replication.factor", copies.clone(), "3", few);
    add(
        "transaction.state.log.replication.factor",
        copies.clone(),
        "3",
        few,
    );
    add("transaction.state.log.min.isr", in_sync.clone(), "2", few);
    if share_groups {
        let name = "share.coordinator.state.topic.replication.factor";
        add(name, copies, "3", few);
        add("share.coordinator.state.topic.min.isr", in_sync, "2", few);
    }
    add(
        "auto.create.topics.enable",
        "false".into(),
        "true",
        "a topic that vanished must not come back empty",
    );
    if !properties.keys().any(|name| name.starts_with("log.retention.")) {
        let default = "none (log.retention.hours = 168)";
        add(
            "log.retention.ms",
            "-1".into(),
            default,
            "the log is the evidence: nothing of it is deleted before it is judged",
        );
    }
    settings
}

/// What a scenario sets, beside Kafka's default as the broker itself tells it; what equals the default is left out.
pub(crate) fn scenario_settings(
    scope: &str,
    wish: &BTreeMap<String, String>,
    told: &BTreeMap<String, Configured>,
) -> Vec<Setting> {
    let default_of = |name: &String| match told.get(name).and_then(|known| known.default.as_ref()) {
        Some((synonym, value)) if synonym == name => value.clone(),
        // A topic's default stands under the broker's name for it, a time in ms under its name in hours.
        Some((synonym, value)) => format!("{value} ({synonym})"),
        None => "none".into(),
    };
    let setting = |(name, value): (&String, &String)| Setting {
        scope: scope.into(),
        name: name.clone(),
        value: value.clone(),
        default: default_of(name),
        reason: "set by the scenario".into(),
    };
    wish.iter()
        .map(setting)
        .filter(|setting| setting.value != setting.default)
        .collect()
}

/// The whole file of one node.
pub(crate) fn server_properties(
    node: &NodePlan,
    all: &[NodePlan],
    data: &Path,
    house: &[Setting],
    properties: &BTreeMap<String, String>,
) -> String {
    let voters = all.iter().filter(|node| node.role.is_controller());
    let voters: Vec<String> = voters
        .map(|node| format!("{}@{}:{}", node.id, known_as(node), node.controller_port))
        .collect();
    let (mut listeners, mut advertised, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    if node.role.is_broker() {
        roles.push("broker");
        listeners.push(format!("CLIENT://127.0.0.1:{}", node.client_port));
        listeners.push(format!("ADMIN://127.0.0.1:{}", node.admin_port));
        advertised.push(format!("CLIENT://127.0.0.1:{}", node.advertised_port));
        advertised.push(format!("ADMIN://127.0.0.1:{}", node.admin_port));
    }
    if node.is_linked() {
        listeners.push(format!("REPLICATION://127.0.0.1:{}", node.replication_port));
        let (name, port) = (known_as(node), node.replication_port);
        advertised.push(format!("REPLICATION://{name}:{port}"));
        advertised.push(format!("CONTROLLER://{name}:{}", node.controller_port));
    }
    if node.role.is_controller() {
        roles.push("controller");
        listeners.push(format!("CONTROLLER://127.0.0.1:{}", node.controller_port));
    }
    let mut file: BTreeMap<&str, String> = BTreeMap::new();
    file.insert("process.roles", roles.join(","));
    file.insert("node.id", node.id.to_string());
    file.insert("controller.quorum.voters", voters.join(","));
    file.insert("controller.listener.names", "CONTROLLER".into());
    file.insert("listeners", listeners.join(","));
    file.insert(
        "listener.security.protocol.map",
        "CLIENT:PLAINTEXT,ADMIN:PLAINTEXT,REPLICATION:PLAINTEXT,CONTROLLER:PLAINTEXT".into(),
    );
    file.insert("log.dirs", data.display().to_string());
    if node.role.is_broker() {
        file.insert("advertised.listeners", advertised.join(","));
        let inner = if node.is_linked() { "REPLICATION" } else { "ADMIN" };
        file.insert("inter.broker.listener.name", inner.into());
    }
    file.extend(
        house
            .iter()
            .map(|setting| (setting.name.as_str(), setting.value.clone())),
    );
    file.extend(
        properties
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    file.iter()
        .map(|(name, value)| format!("{}={}\n", escaped(name), escaped(value)))
        .collect()
}

fn known_as(node: &NodePlan) -> String {
    match node.is_linked() {
        true => node.host_name(),
        false => "127.0.0.1".to_owned(),
    }
}

/// Where the proxies stand that take the connections of one broker to another: the same ports as the other one has itself, on
/// an address that no other pair has.
pub(crate) fn between(from: &NodePlan, to: &NodePlan) -> Ipv4Addr {
    let octet = |node: &NodePlan| u8::try_from(node.id).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, 1, octet(from), octet(to))
}

/// What names mean to one broker's JVM, which then asks nobody else (`jdk.net.hosts.file`): every other broker is where the
/// proxies of that pair stand. `machine`: the machine's own name, which the JVM looks up too.
pub(crate) fn hosts(node: &NodePlan, all: &[NodePlan], machine: &str) -> String {
    let mut file = format!("127.0.0.1 localhost {machine} {}\n", node.host_name());
    for other in all.iter().filter(|other| other.id != node.id) {
        file.push_str(&format!("{} {}\n", between(node, other), other.host_name()));
    }
    file
}

/// As `java.util.Properties.load` reads it: Latin-1 with backslash escapes.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some(symbol @ ('\\' | '=' | ':' | '#' | '!' | ' ')) => out.extend(['\\', symbol]),
            Some(symbol @ '!'..='~') => out.push(symbol),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_port_is_used_once_and_a_proxied_broker_advertises_its_proxy() {
        for (brokers, controllers, clients, linked) in [
            (1, 0, false, false),
            (3, 0, true, false),
            (3, 1, true, false),
            (3, 3, false, false),
            (3, 0, true, true),
        ] {
            let fronted = Fronted {
                clients,
                brokers: linked,
            };
            let ports: Vec<u16> = (1000..)
                .take(ports_needed(brokers, controllers, fronted))
                .collect();
            let nodes = plan(brokers, controllers, fronted, &ports);
            let mut used: Vec<u16> = nodes
                .iter()
                .flat_map(|node| {
                    [
                        node.client_port,
                        node.admin_port,
                        node.controller_port,
                        node.replication_port,
                        node.advertised_port,
                    ]
                })
                .filter(|port| *port != 0)
                .collect();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used, ports);
            for node in nodes.iter().filter(|node| node.role.is_broker()) {
                assert_eq!(node.advertised_port != node.client_port, clients);
            }
        }
    }

    #[test]
    fn a_dedicated_controller_has_no_client_listener_and_brokers_do_not_vote() {
        let ports: Vec<u16> = (1000..).take(ports_needed(2, 1, Fronted::default())).collect();
        let nodes = plan(2, 1, Fronted::default(), &ports);
        let file = server_properties(&nodes[2], &nodes, Path::new("/d"), &[], &BTreeMap::new());
        assert!(
            file.contains("process.roles=controller\n") && !file.contains("CLIENT\\://"),
            "{file}"
        );
        let file = server_properties(&nodes[0], &nodes, Path::new("/d"), &[], &BTreeMap::new());
        assert!(file.contains("process.roles=broker\n"), "{file}");
        assert!(
            file.contains("controller.quorum.voters=101@127.0.0.1\\:1006\n"),
            "{file}"
        );
    }

    #[test]
    fn to_each_broker_another_ones_name_is_an_address_of_that_pair() {
        let fronted = Fronted {
            clients: true,
            brokers: true,
        };
        let ports: Vec<u16> = (1000..).take(ports_needed(3, 0, fronted)).collect();
        let nodes = plan(3, 0, fronted, &ports);
        let table = hosts(&nodes[1], &nodes, "machine");
        let expected = "127.0.0.1 localhost machine broker-2.steadfast\n127.1.2.1 broker-1.steadfast\n\
                        127.1.2.3 broker-3.steadfast\n";
        assert_eq!(table, expected);
        let file = server_properties(&nodes[1], &nodes, Path::new("/d"), &[], &BTreeMap::new());
        let advertised = "advertised.listeners=CLIENT\\://127.0.0.1\\:1008,ADMIN\\://127.0.0.1\\:1006,\
                          REPLICATION\\://broker-2.steadfast\\:1009,CONTROLLER\\://broker-2.steadfast\\:1007\n";
        assert!(file.contains(advertised), "{file}");
        assert!(
            file.contains("inter.broker.listener.name=REPLICATION\n"),
            "{file}"
        );
        assert!(file.contains("3@broker-3.steadfast\\:1012"), "{file}");
    }

    #[test]
    fn the_scenario_wins_over_the_house_and_is_not_listed_as_ours() {
        let wish = properties(&[
            ("auto.create.topics.enable", "true"),
            ("log.retention.hours", "1"),
        ]);
        let names: Vec<String> = house_settings(3, true, &wish)
            .into_iter()
            .map(|setting| setting.name)
            .collect();
        assert!(names.is_empty(), "{names:?}");
        let names: Vec<String> = house_settings(1, false, &BTreeMap::new())
            .into_iter()
            .map(|setting| setting.name)
            .collect();
        assert!(
            names.contains(&"transaction.state.log.min.isr".to_owned()),
            "{names:?}"
        );
        // Kafka 3 does not know them.
        assert!(!names.iter().any(|name| name.starts_with("share.")), "{names:?}");
    }

    #[test]
    fn what_the_scenario_sets_stands_beside_kafkas_default() {
        let default = |name: &str, value: &str| Configured {
            default: Some((name.into(), value.into())),
        };
        let told = BTreeMap::from([
            (
                "min.insync.replicas".to_owned(),
                default("min.insync.replicas", "1"),
            ),
            ("retention.ms".to_owned(), default("log.retention.hours", "168")),
            ("cleanup.policy".to_owned(), default("cleanup.policy", "delete")),
        ]);
        let wish = properties(&[
            ("cleanup.policy", "delete"),
            ("min.insync.replicas", "2"),
            ("my.plugin", "x"),
            ("retention.ms", "-1"),
        ]);
        let found: Vec<(String, String)> = scenario_settings("topic", &wish, &told)
            .into_iter()
            .map(|setting| (setting.name, setting.default))
            .collect();
        let expected = [
            ("min.insync.replicas", "1"),
            ("my.plugin", "none"),
            ("retention.ms", "168 (log.retention.hours)"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, default)| (name.to_owned(), default.to_owned()))
        );
    }

    #[test]
    fn what_holds_the_cluster_together_may_not_be_set() {
        assert!(check(&properties(&[("num.io.threads", "4")])).is_ok());
        assert!(
            check(&properties(&[("listeners", "X://")]))
                .unwrap_err()
                .to_string()
                .contains("listeners")
        );
    }

    #[test]
    fn values_survive_javas_reader() {
        assert_eq!(escaped("a b:c=\\d"), "a\\ b\\:c\\=\\\\d");
        assert_eq!(escaped("é\n"), "\\u00e9\\u000a");
    }
}
