//! Orders: what an operator, a fault or a test does to the cluster. Requests of clients are not here.

/// How a node stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Stop {
    /// SIGTERM: its leaderships move first, then it goes.
    Clean,
    /// SIGKILL: gone at once; what the kernel had, it has. The controller notices after the session timeout.
    Hard,
    /// The plug is pulled: as [`Stop::Hard`], and what was not on disk yet is lost from some point on.
    PowerLoss,
}

/// One order. Nodes are Kafka's node ids.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Order {
    /// Stops a node.
    Kill {
        /// Which.
        node: i32,
        /// How.
        stop: Stop,
    },
    /// Starts a stopped node.
    Start {
        /// Which.
        node: i32,
    },
    /// SIGSTOP: it keeps its connections, and does nothing.
    Pause {
        /// Which.
        node: i32,
    },
    /// SIGCONT.
    Resume {
        /// Which.
        node: i32,
    },
    /// Nothing passes between two nodes. A node cut from all others has lost the controller too.
    Cut {
        /// One.
        a: i32,
        /// The other.
        b: i32,
    },
    /// Undoes [`Order::Cut`].
    Mend {
        /// One.
        a: i32,
        /// The other.
        b: i32,
    },
    /// Every request of this node takes so much longer (a slow disk); 0 undoes it.
    Slow {
        /// Which.
        node: i32,
        /// Nanoseconds before each request is looked at.
        delay_ns: u64,
    },
    /// Makes a node leader of a partition.
    Elect {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The new leader: any live replica.
        node: i32,
        /// Even if it is not in the ISR; what only others had is lost then.
        unclean: bool,
    },
    /// Moves the coordinator of a transactional id or group to the next live node.
    MoveCoordinator {
        /// 0: group, 1: transactional id.
        key_type: i8,
        /// Its name.
        key: String,
    },
    /// producer_byte_rate of one client id; none: no limit.
    Quota {
        /// Which.
        client_id: String,
        /// Bytes a second.
        bytes_per_second: Option<u64>,
    },
    /// Sets a topic's property, or takes it back to its default.
    TopicConfig {
        /// Topic.
        topic: String,
        /// Kafka's name.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// Makes a topic.
    CreateTopic {
        /// Its name.
        name: String,
        /// Number of partitions.
        partitions: i32,
        /// Replicas of each.
        replication_factor: i16,
        /// Kafka's names and values.
        configs: Vec<(String, String)>,
    },
    /// Adds partitions to a topic.
    GrowTopic {
        /// Its name.
        name: String,
        /// How many it is to have.
        partitions: i32,
    },
    /// Deletes a topic.
    DeleteTopic {
        /// Its name.
        name: String,
    },
}

/// Why an order was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// No such node.
    #[error("there is no node {0}")]
    NoNode(i32),
    /// The node is not in a state for it.
    #[error("node {node} {why}")]
    Node {
        /// Which.
        node: i32,
        /// Why not.
        why: &'static str,
    },
    /// No such topic or partition.
    #[error("there is no partition {topic}-{partition}")]
    NoPartition {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
    },
    /// The node cannot lead it.
    #[error("node {node} cannot lead {topic}-{partition}: {why}")]
    NoLeader {
        /// Which.
        node: i32,
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Why not.
        why: &'static str,
    },
    /// What the same request of a client would be answered with.
    #[error("refused with Kafka's error {code}: {why}")]
    Kafka {
        /// Error code.
        code: i16,
        /// In words.
        why: String,
    },
}
