//! What the request of each API looks like on the wire, for whoever plays a broker. See shapes.rs.
//!
//! Source: `common/message/*Request.json` of Apache Kafka 4.1.0. A test encodes every version of every request with
//! kafka-protocol 0.18 and finds these shapes to fit exactly.

use crate::shapes::Field::{Between, Every, Since, Tagged};
use crate::shapes::Kind::{self, Array, Bytes, I8, I16, I32, I64, String, Struct, Uuid};
use crate::shapes::Shape;

/// Name and numbers of partitions.
const TOPIC_AND_PARTITIONS: Kind = Struct(&[Every(String), Every(Array(&I32))]);

/// All requests that may be decoded.
pub(crate) const REQUEST_SHAPES: &[Shape] = &[
    // Produce
    Shape {
        api_key: 0,
        newest: 13,
        flexible: 9,
        fields: &[
            Every(String),
            Every(I16),
            Every(I32),
            Every(Array(&Struct(&[
                Between(0, 12, String),
                Since(13, Uuid),
                Every(Array(&Struct(&[Every(I32), Every(Bytes)]))),
            ]))),
        ],
    },
    // Fetch
    Shape {
        api_key: 1,
        newest: 18,
        flexible: 12,
        fields: &[
            Between(0, 14, I32),
            Every(I32),
            Every(I32),
            Every(I32),
            Every(I8),
            Since(7, I32),
            Since(7, I32),
            Every(Array(&Struct(&[
                Between(0, 12, String),
                Since(13, Uuid),
                Every(Array(&FETCHED_PARTITION)),
            ]))),
            Since(
                7,
                Array(&Struct(&[
                    Between(0, 12, String),
                    Since(13, Uuid),
                    Every(Array(&I32)),
                ])),
            ),
            Since(11, String),
            Tagged(0, 12, String),
            Tagged(1, 15, Struct(&[Every(I32), Every(I64)])),
        ],
    },
    // ListOffsets
    Shape {
        api_key: 2,
        newest: 10,
        flexible: 6,
        fields: &[
            Every(I32),
            Since(2, I8),
            Every(Array(&Struct(&[
                Every(String),
                Every(Array(&Struct(&[Every(I32), Since(4, I32), Every(I64)]))),
            ]))),
            Since(10, I32),
        ],
    },
    // Metadata
    Shape {
        api_key: 3,
        newest: 13,
        flexible: 9,
        fields: &[
            Every(Array(&Struct(&[Since(10, Uuid), Every(String)]))),
            Since(4, I8),
            Between(8, 10, I8),
            Since(8, I8),
        ],
    },
    // OffsetCommit
    Shape {
        api_key: 8,
        newest: 9,
        flexible: 8,
        fields: &[
            Every(String),
            Every(I32),
            Every(String),
            Since(7, String),
            Between(2, 4, I64),
            Every(Array(&Struct(&[
                Every(String),
                Every(Array(&Struct(&[
                    Every(I32),
                    Every(I64),
                    Since(6, I32),
                    Every(String),
                ]))),
            ]))),
        ],
    },
    // OffsetFetch
    Shape {
        api_key: 9,
        newest: 9,
        flexible: 6,
        fields: &[
            Between(0, 7, String),
            Between(0, 7, Array(&TOPIC_AND_PARTITIONS)),
            Since(
                8,
                Array(&Struct(&[
                    Every(String),
                    Since(9, String),
                    Since(9, I32),
                    Every(Array(&TOPIC_AND_PARTITIONS)),
                ])),
            ),
            Since(7, I8),
        ],
    },
    // FindCoordinator
    Shape {
        api_key: 10,
        newest: 6,
        flexible: 3,
        fields: &[Between(0, 3, String), Since(1, I8), Since(4, Array(&String))],
    },
    // ApiVersions
    Shape {
        api_key: 18,
        newest: 4,
        flexible: 3,
        fields: &[Since(3, String), Since(3, String)],
    },
    // CreateTopics
    Shape {
        api_key: 19,
        newest: 7,
        flexible: 5,
        fields: &[
            Every(Array(&Struct(&[
                Every(String),
                Every(I32),
                Every(I16),
                Every(Array(&Struct(&[Every(I32), Every(Array(&I32))]))),
                Every(Array(&Struct(&[Every(String), Every(String)]))),
            ]))),
            Every(I32),
            Every(I8),
        ],
    },
    // DeleteTopics
    Shape {
        api_key: 20,
        newest: 6,
        flexible: 4,
        fields: &[
            Since(6, Array(&Struct(&[Every(String), Every(Uuid)]))),
            Between(0, 5, Array(&String)),
            Every(I32),
        ],
    },
    // InitProducerId
    Shape {
        api_key: 22,
        newest: 5,
        flexible: 2,
        fields: &[Every(String), Every(I32), Since(3, I64), Since(3, I16)],
    },
    // OffsetForLeaderEpoch
    Shape {
        api_key: 23,
        newest: 4,
        flexible: 4,
        fields: &[
            Since(3, I32),
            Every(Array(&Struct(&[
                Every(String),
                Every(Array(&Struct(&[Every(I32), Every(I32), Every(I32)]))),
            ]))),
        ],
    },
    // AddPartitionsToTxn
    Shape {
        api_key: 24,
        newest: 5,
        flexible: 3,
        fields: &[
            Since(
                4,
                Array(&Struct(&[
                    Every(String),
                    Every(I64),
                    Every(I16),
                    Every(I8),
                    Every(Array(&TOPIC_AND_PARTITIONS)),
                ])),
            ),
            Between(0, 3, String),
            Between(0, 3, I64),
            Between(0, 3, I16),
            Between(0, 3, Array(&TOPIC_AND_PARTITIONS)),
        ],
    },
    // AddOffsetsToTxn
    Shape {
        api_key: 25,
        newest: 4,
        flexible: 3,
        fields: &[Every(String), Every(I64), Every(I16), Every(String)],
    },
    // EndTxn
    Shape {
        api_key: 26,
        newest: 5,
        flexible: 3,
        fields: &[Every(String), Every(I64), Every(I16), Every(I8)],
    },
    // TxnOffsetCommit
    Shape {
        api_key: 28,
        newest: 5,
        flexible: 3,
        fields: &[
            Every(String),
            Every(String),
            Every(I64),
            Every(I16),
            Since(3, I32),
            Since(3, String),
            Since(3, String),
            Every(Array(&Struct(&[
                Every(String),
                Every(Array(&Struct(&[
                    Every(I32),
                    Every(I64),
                    Since(2, I32),
                    Every(String),
                ]))),
            ]))),
        ],
    },
    // DescribeConfigs
    Shape {
        api_key: 32,
        newest: 4,
        flexible: 4,
        fields: &[
            Every(Array(&Struct(&[Every(I8), Every(String), Every(Array(&String))]))),
            Every(I8),
            Since(3, I8),
        ],
    },
    // CreatePartitions
    Shape {
        api_key: 37,
        newest: 3,
        flexible: 2,
        fields: &[
            Every(Array(&Struct(&[
                Every(String),
                Every(I32),
                Every(Array(&Struct(&[Every(Array(&I32))]))),
            ]))),
            Every(I32),
            Every(I8),
        ],
    },
    // ElectLeaders
    Shape {
        api_key: 43,
        newest: 2,
        flexible: 2,
        fields: &[Since(1, I8), Every(Array(&TOPIC_AND_PARTITIONS)), Every(I32)],
    },
    // IncrementalAlterConfigs
    Shape {
        api_key: 44,
        newest: 1,
        flexible: 1,
        fields: &[
            Every(Array(&Struct(&[
                Every(I8),
                Every(String),
                Every(Array(&Struct(&[Every(String), Every(I8), Every(String)]))),
            ]))),
            Every(I8),
        ],
    },
    // DescribeCluster
    Shape {
        api_key: 60,
        newest: 2,
        flexible: 0,
        fields: &[Every(I8), Since(1, I8), Since(2, I8)],
    },
    // DescribeProducers
    Shape {
        api_key: 61,
        newest: 0,
        flexible: 0,
        fields: &[Every(Array(&TOPIC_AND_PARTITIONS))],
    },
    // DescribeTransactions
    Shape {
        api_key: 65,
        newest: 0,
        flexible: 0,
        fields: &[Every(Array(&String))],
    },
    // ListTransactions
    Shape {
        api_key: 66,
        newest: 2,
        flexible: 0,
        fields: &[
            Every(Array(&String)),
            Every(Array(&I64)),
            Since(1, I64),
            Since(2, String),
        ],
    },
];

const FETCHED_PARTITION: Kind = Struct(&[
    Every(I32),
    Since(9, I32),
    Every(I64),
    Since(12, I32),
    Since(5, I64),
    Every(I32),
    Tagged(0, 17, Uuid),
    Tagged(1, 18, I64),
]);
