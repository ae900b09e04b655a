//! What the response of each API looks like on the wire, as far as a guard must know: where counts and lengths stand.
//!
//! Source: `common/message/*Response.json` of Apache Kafka 4.1.0. `newest` is the newest version that kafka-protocol
//! 0.18 decodes; a test encodes every version of every response with it and finds these shapes to fit exactly.

use Field::{Between, Every, Since, Tagged};
use Kind::{Array, Bytes, F64, I8, I16, I32, I64, String, Struct, Uuid};

/// One API's response.
pub(crate) struct Shape {
    pub(crate) api_key: i16,
    /// Newest version described.
    pub(crate) newest: i16,
    /// First version with compact lengths and tagged fields (KIP-482).
    pub(crate) flexible: i16,
    pub(crate) fields: &'static [Field],
}

/// A field, and the versions that have it.
#[derive(Debug)]
pub(crate) enum Field {
    Every(Kind),
    Since(i16, Kind),
    /// Both ends included.
    Between(i16, i16, Kind),
    /// Tag, first version.
    Tagged(u32, i16, Kind),
}

/// What stands on the wire.
#[derive(Debug)]
pub(crate) enum Kind {
    I8,
    I16,
    I32,
    I64,
    F64,
    Uuid,
    /// May be null, as any length.
    String,
    Bytes,
    Array(&'static Kind),
    Struct(&'static [Field]),
}

/// All responses that may be decoded.
pub(crate) const SHAPES: &[Shape] = &[
    // Produce
    Shape {
        api_key: 0,
        newest: 13,
        flexible: 9,
        fields: &[
            Every(Array(&Struct(&[
                Between(0, 12, String),
                Since(13, Uuid),
                Every(Array(&PRODUCED_PARTITION)),
            ]))),
            Since(1, I32),
            Tagged(
                0,
                10,
                Array(&Struct(&[Every(I32), Every(String), Every(I32), Every(String)])),
            ),
        ],
    },
    // Fetch
    Shape {
        api_key: 1,
        newest: 18,
        flexible: 12,
        fields: &[
            Every(I32),
            Since(7, I16),
            Since(7, I32),
            Every(Array(&Struct(&[
                Between(0, 12, String),
                Since(13, Uuid),
                Every(Array(&FETCHED_PARTITION)),
            ]))),
            Tagged(
                0,
                16,
                Array(&Struct(&[Every(I32), Every(String), Every(I32), Every(String)])),
            ),
        ],
    },
    // ListOffsets
    Shape {
        api_key: 2,
        newest: 10,
        flexible: 6,
        fields: &[
            Since(2, I32),
            Every(Array(&Struct(&[
                Every(String),
                Every(Array(&Struct(&[
                    Every(I32),
                    Every(I16),
                    Every(I64),
                    Every(I64),
                    Since(4, I32),
                ]))),
            ]))),
        ],
    },
    // Metadata
    Shape {
        api_key: 3,
        newest: 13,
        flexible: 9,
        fields: &[
            Since(3, I32),
            Every(Array(&Struct(&[
                Every(I32),
                Every(String),
                Every(I32),
                Since(1, String),
            ]))),
            Since(2, String),
            Since(1, I32),
            Every(Array(&Struct(&[
                Every(I16),
                Every(String),
                Since(10, Uuid),
                Since(1, I8),
                Every(Array(&METADATA_PARTITION)),
                Since(8, I32),
            ]))),
            Between(8, 10, I32),
            Since(13, I16),
        ],
    },
    // OffsetFetch
    Shape {
        api_key: 9,
        newest: 10,
        flexible: 6,
        fields: &[
            Since(3, I32),
            Between(
                0,
                7,
                Array(&Struct(&[
                    Every(String),
                    Every(Array(&Struct(&[
                        Every(I32),
                        Every(I64),
                        Since(5, I32),
                        Every(String),
                        Every(I16),
                    ]))),
                ])),
            ),
            Between(2, 7, I16),
            Since(
                8,
                Array(&Struct(&[
                    Every(String),
                    Every(Array(&Struct(&[
                        Between(8, 9, String),
                        Since(10, Uuid),
                        Every(Array(&Struct(&[
                            Every(I32),
                            Every(I64),
                            Every(I32),
                            Every(String),
                            Every(I16),
                        ]))),
                    ]))),
                    Every(I16),
                ])),
            ),
        ],
    },
    // FindCoordinator
    Shape {
        api_key: 10,
        newest: 6,
        flexible: 3,
        fields: &[
            Since(1, I32),
            Between(0, 3, I16),
            Between(1, 3, String),
            Between(0, 3, I32),
            Between(0, 3, String),
            Between(0, 3, I32),
            Since(
                4,
                Array(&Struct(&[
                    Every(String),
                    Every(I32),
                    Every(String),
                    Every(I32),
                    Every(I16),
                    Every(String),
                ])),
            ),
        ],
    },
    // ApiVersions
    Shape {
        api_key: 18,
        newest: 4,
        flexible: 3,
        fields: &[
            Every(I16),
            Every(Array(&Struct(&[Every(I16), Every(I16), Every(I16)]))),
            Since(1, I32),
            Tagged(0, 3, Array(&FEATURE)),
            Tagged(1, 3, I64),
            Tagged(2, 3, Array(&FEATURE)),
            Tagged(3, 3, I8),
        ],
    },
    // CreateTopics
    Shape {
        api_key: 19,
        newest: 7,
        flexible: 5,
        fields: &[
            Since(2, I32),
            Every(Array(&Struct(&[
                Every(String),
                Since(7, Uuid),
                Every(I16),
                Since(1, String),
                Tagged(0, 5, I16),
                Since(5, I32),
                Since(5, I16),
                Since(
                    5,
                    Array(&Struct(&[
                        Every(String),
                        Every(String),
                        Every(I8),
                        Every(I8),
                        Every(I8),
                    ])),
                ),
            ]))),
        ],
    },
    // DeleteTopics
    Shape {
        api_key: 20,
        newest: 6,
        flexible: 4,
        fields: &[
            Since(1, I32),
            Every(Array(&Struct(&[
                Every(String),
                Since(6, Uuid),
                Every(I16),
                Since(5, String),
            ]))),
        ],
    },
    // InitProducerId
    Shape {
        api_key: 22,
        newest: 6,
        flexible: 2,
        fields: &[
            Every(I32),
            Every(I16),
            Every(I64),
            Every(I16),
            Since(6, I64),
            Since(6, I16),
        ],
    },
    // AddPartitionsToTxn
    Shape {
        api_key: 24,
        newest: 5,
        flexible: 3,
        fields: &[
            Every(I32),
            Since(4, I16),
            Since(
                4,
                Array(&Struct(&[Every(String), Every(Array(&TOPIC_WITH_ERRORS))])),
            ),
            Between(0, 3, Array(&TOPIC_WITH_ERRORS)),
        ],
    },
    // AddOffsetsToTxn
    Shape {
        api_key: 25,
        newest: 4,
        flexible: 3,
        fields: &[Every(I32), Every(I16)],
    },
    // EndTxn
    Shape {
        api_key: 26,
        newest: 5,
        flexible: 3,
        fields: &[Every(I32), Every(I16), Since(5, I64), Since(5, I16)],
    },
    // TxnOffsetCommit
    Shape {
        api_key: 28,
        newest: 5,
        flexible: 3,
        fields: &[Every(I32), Every(Array(&TOPIC_WITH_ERRORS))],
    },
    // DescribeConfigs
    Shape {
        api_key: 32,
        newest: 4,
        flexible: 4,
        fields: &[
            Every(I32),
            Every(Array(&Struct(&[
                Every(I16),
                Every(String),
                Every(I8),
                Every(String),
                Every(Array(&DESCRIBED_CONFIG)),
            ]))),
        ],
    },
    // AlterConfigs
    Shape {
        api_key: 33,
        newest: 2,
        flexible: 2,
        fields: ALTERED_CONFIGS,
    },
    // CreatePartitions
    Shape {
        api_key: 37,
        newest: 3,
        flexible: 2,
        fields: &[
            Every(I32),
            Every(Array(&Struct(&[Every(String), Every(I16), Every(String)]))),
        ],
    },
    // ElectLeaders
    Shape {
        api_key: 43,
        newest: 2,
        flexible: 2,
        fields: &[
            Every(I32),
            Since(1, I16),
            Every(Array(&Struct(&[
                Every(String),
                Every(Array(&Struct(&[Every(I32), Every(I16), Every(String)]))),
            ]))),
        ],
    },
    // IncrementalAlterConfigs
    Shape {
        api_key: 44,
        newest: 1,
        flexible: 1,
        fields: ALTERED_CONFIGS,
    },
    // AlterPartitionReassignments
    Shape {
        api_key: 45,
        newest: 1,
        flexible: 0,
        fields: &[
            Every(I32),
            Since(1, I8),
            Every(I16),
            Every(String),
            Every(Array(&Struct(&[
                Every(String),
                Every(Array(&Struct(&[Every(I32), Every(I16), Every(String)]))),
            ]))),
        ],
    },
    // DescribeClientQuotas
    Shape {
        api_key: 48,
        newest: 1,
        flexible: 1,
        fields: &[
            Every(I32),
            Every(I16),
            Every(String),
            Every(Array(&Struct(&[
                Every(QUOTA_ENTITY),
                Every(Array(&Struct(&[Every(String), Every(F64)]))),
            ]))),
        ],
    },
    // AlterClientQuotas
    Shape {
        api_key: 49,
        newest: 1,
        flexible: 1,
        fields: &[
            Every(I32),
            Every(Array(&Struct(&[Every(I16), Every(String), Every(QUOTA_ENTITY)]))),
        ],
    },
    // DescribeQuorum
    Shape {
        api_key: 55,
        newest: 2,
        flexible: 0,
        fields: &[
            Every(I16),
            Since(2, String),
            Every(Array(&Struct(&[Every(String), Every(Array(&QUORUM_PARTITION))]))),
            Since(
                2,
                Array(&Struct(&[
                    Every(I32),
                    Every(Array(&Struct(&[Every(String), Every(String), Every(I16)]))),
                ])),
            ),
        ],
    },
    // DescribeCluster
    Shape {
        api_key: 60,
        newest: 2,
        flexible: 0,
        fields: &[
            Every(I32),
            Every(I16),
            Every(String),
            Since(1, I8),
            Every(String),
            Every(I32),
            Every(Array(&Struct(&[
                Every(I32),
                Every(String),
                Every(I32),
                Every(String),
                Since(2, I8),
            ]))),
            Every(I32),
        ],
    },
    // DescribeProducers
    Shape {
        api_key: 61,
        newest: 0,
        flexible: 0,
        fields: &[
            Every(I32),
            Every(Array(&Struct(&[
                Every(String),
                Every(Array(&Struct(&[
                    Every(I32),
                    Every(I16),
                    Every(String),
                    Every(Array(&ACTIVE_PRODUCER)),
                ]))),
            ]))),
        ],
    },
];

/// Topic, then partition and error code of each.
const TOPIC_WITH_ERRORS: Kind = Struct(&[Every(String), Every(Array(&Struct(&[Every(I32), Every(I16)])))]);

/// Types and names.
const QUOTA_ENTITY: Kind = Array(&Struct(&[Every(String), Every(String)]));

const PRODUCED_PARTITION: Kind = Struct(&[
    Every(I32),
    Every(I16),
    Every(I64),
    Since(2, I64),
    Since(5, I64),
    Tagged(0, 10, Struct(&[Every(I32), Every(I32)])),
    Since(8, Array(&Struct(&[Every(I32), Every(String)]))),
    Since(8, String),
]);

const FETCHED_PARTITION: Kind = Struct(&[
    Every(I32),
    Every(I16),
    Every(I64),
    Since(4, I64),
    Since(5, I64),
    Tagged(0, 12, Struct(&[Every(I32), Every(I64)])),
    Tagged(1, 12, Struct(&[Every(I32), Every(I32)])),
    Tagged(2, 12, Struct(&[Every(I64), Every(I32)])),
    Since(4, Array(&Struct(&[Every(I64), Every(I64)]))),
    Since(11, I32),
    Every(Bytes),
]);

const METADATA_PARTITION: Kind = Struct(&[
    Every(I16),
    Every(I32),
    Every(I32),
    Since(7, I32),
    Every(Array(&I32)),
    Every(Array(&I32)),
    Since(5, Array(&I32)),
]);

const QUORUM_PARTITION: Kind = Struct(&[
    Every(I32),
    Every(I16),
    Since(2, String),
    Every(I32),
    Every(I32),
    Every(I64),
    Every(Array(&QUORUM_REPLICA)),
    Every(Array(&QUORUM_REPLICA)),
]);

const QUORUM_REPLICA: Kind = Struct(&[
    Every(I32),
    Since(2, Uuid),
    Every(I64),
    Since(1, I64),
    Since(1, I64),
]);

const FEATURE: Kind = Struct(&[Every(String), Every(I16), Every(I16)]);

const DESCRIBED_CONFIG: Kind = Struct(&[
    Every(String),
    Every(String),
    Every(I8),
    Every(I8),
    Every(I8),
    Every(Array(&Struct(&[Every(String), Every(String), Every(I8)]))),
    Since(3, I8),
    Since(3, String),
]);

const ALTERED_CONFIGS: &[Field] = &[
    Every(I32),
    Every(Array(&Struct(&[
        Every(I16),
        Every(String),
        Every(I8),
        Every(String),
    ]))),
];

const ACTIVE_PRODUCER: Kind = Struct(&[
    Every(I64),
    Every(I32),
    Every(I32),
    Every(I64),
    Every(I32),
    Every(I64),
]);
