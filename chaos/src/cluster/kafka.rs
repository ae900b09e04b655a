//! Where the jars of Apache Kafka come from: `KAFKA_HOME`, else the user's cache that [`fetch`] fills.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ChaosError;
use crate::journal::user_directory;

pub use super::fetch::fetch;

/// A version that this build knows the exact artefacts of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pinned {
    /// Version of Apache Kafka.
    pub version: &'static str,
    /// Scala version in the name of its core artefact.
    pub scala: &'static str,
    /// The slf4j binding: Kafka 3 brings one of its own, and two would quarrel.
    pub slf4j_binding: &'static str,
    /// Its version, which fits the slf4j-api that Kafka brings (2.x bindings are not found by a 1.7 api).
    pub slf4j: &'static str,
}

/// The default first: the one that every measurement in the documents was made on. Then the newest, whose consumers of the
/// wire must find nothing changed, and the last of line 3, which knows transaction version 1 only.
pub const PINNED: &[Pinned] = &[
    Pinned {
        version: "4.1.0",
        scala: "2.13",
        slf4j_binding: "slf4j-simple",
        slf4j: "1.7.36",
    },
    Pinned {
        version: "4.4.0",
        scala: "2.13",
        slf4j_binding: "slf4j-simple",
        slf4j: "1.7.36",
    },
    Pinned {
        version: "3.9.2",
        scala: "2.13",
        slf4j_binding: "slf4j-reload4j",
        slf4j: "1.7.36",
    },
];
/// The version that is used when none is named.
pub const DEFAULT_VERSION: &str = PINNED[0].version;
/// Lists the jars of a complete cache directory; written last.
pub(crate) const COMPLETE: &str = ".complete";
/// Kafka 4 brokers need this Java or a newer one.
pub(crate) const JAVA_NEEDED: u32 = 17;

/// Jars of one version of Apache Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Version of Apache Kafka, from the name of its core jar.
    pub version: String,
    /// The directory that holds all jars.
    pub jars: PathBuf,
    /// For people: `KAFKA_HOME` or `the cache`.
    pub origin: &'static str,
}

impl Home {
    /// For `java -cp`: the JVM itself expands the star.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.jars.display())
    }
}

/// Whether this version is of line 4 or later. Kafka 3 warns about settings of share groups as unknown (KIP-932), and logs
/// through reload4j.
pub(crate) fn is_line_4(version: &str) -> bool {
    let major = version.split('.').next();
    major.is_some_and(|major| major.parse::<u32>().is_ok_and(|major| major >= 4))
}

/// The jars of `version` (empty: whatever `KAFKA_HOME` has, else the default) if they are on this machine. Downloads nothing.
pub fn available(version: &str) -> Option<Home> {
    locate(version).ok()
}

/// As [`available`], with the reason and the mend when there are none.
pub fn locate(version: &str) -> Result<Home, ChaosError> {
    if let Some(home) = std::env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()) {
        return in_kafka_home(Path::new(&home), version);
    }
    let pinned = pinned(version)?;
    let jars = cache_directory(pinned.version)?;
    if is_complete(&jars) {
        return Ok(Home {
            version: pinned.version.into(),
            jars,
            origin: "the cache",
        });
    }
    Err(ChaosError::missing(
        format!(
            "Apache Kafka {} is not on this machine (looked in {})",
            pinned.version,
            jars.display()
        ),
        "run `steadfast cluster fetch`, or point KAFKA_HOME at an unpacked Kafka",
    ))
}

/// The pinned row of a version; empty means the default.
pub(crate) fn pinned(version: &str) -> Result<Pinned, ChaosError> {
    let wanted = if version.is_empty() {
        DEFAULT_VERSION
    } else {
        version
    };
    PINNED
        .iter()
        .find(|row| row.version == wanted)
        .copied()
        .ok_or_else(|| {
            let known: Vec<&str> = PINNED.iter().map(|row| row.version).collect();
            let mend = format!(
                "use one of {}, or point KAFKA_HOME at that version",
                known.join(", ")
            );
            ChaosError::missing(format!("no artefacts are pinned for Apache Kafka {wanted}"), mend)
        })
}

/// `$XDG_CACHE_HOME/steadfast/kafka-<version>`.
pub(crate) fn cache_directory(version: &str) -> Result<PathBuf, ChaosError> {
    let cache =
        user_directory("XDG_CACHE_HOME", ".cache").map_err(ChaosError::io("find the cache directory"))?;
    Ok(cache.join("steadfast").join(format!("kafka-{version}")))
}

/// True when every jar that the marker lists is there with its size, so that a cut-off fetch counts as none.
pub(crate) fn is_complete(jars: &Path) -> bool {
    let Ok(marker) = fs::read_to_string(jars.join(COMPLETE)) else {
        return false;
    };
    let whole = |line: &str| {
        let (size, name) = line.split_once(' ')?;
        let found = fs::metadata(jars.join(name)).ok()?;
        (found.len() == size.parse::<u64>().ok()?).then_some(())
    };
    !marker.is_empty() && marker.lines().all(|line| whole(line).is_some())
}

fn in_kafka_home(home: &Path, version: &str) -> Result<Home, ChaosError> {
    let jars = home.join("libs");
    let Some(found) = core_version(&jars) else {
        return Err(ChaosError::missing(
            format!(
                "KAFKA_HOME is {}, but there is no libs/kafka_2.13-VERSION.jar in it",
                home.display()
            ),
            "point KAFKA_HOME at an unpacked Kafka, or unset it to use the cache",
        ));
    };
    if !version.is_empty() && found != version {
        return Err(ChaosError::missing(
            format!("KAFKA_HOME holds Apache Kafka {found}, but {version} is asked for"),
            format!("unset KAFKA_HOME, or say `version = \"{found}\"` under [cluster]"),
        ));
    }
    Ok(Home {
        version: found,
        jars,
        origin: "KAFKA_HOME",
    })
}

fn core_version(jars: &Path) -> Option<String> {
    let names = fs::read_dir(jars)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    version_of_core(names)
}

/// `4.1.0` from `kafka_2.13-4.1.0.jar`; the sources and test jars beside it have longer names.
pub(crate) fn version_of_core(names: impl Iterator<Item = String>) -> Option<String> {
    let versions =
        names.filter_map(|name| Some(name.strip_prefix("kafka_2.13-")?.strip_suffix(".jar")?.to_owned()));
    versions.min_by_key(String::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_complete_only_with_every_jar_in_full() {
        let home = tempfile::tempdir().unwrap();
        let jars = home.path();
        assert!(!is_complete(jars), "no marker");
        fs::write(jars.join(COMPLETE), "").unwrap();
        assert!(!is_complete(jars), "empty marker");
        fs::write(jars.join("a.jar"), "1234").unwrap();
        fs::write(jars.join(COMPLETE), "4 a.jar\n2 b.jar\n").unwrap();
        assert!(!is_complete(jars), "one is missing");
        fs::write(jars.join("b.jar"), "1").unwrap();
        assert!(!is_complete(jars), "one is cut off");
        fs::write(jars.join("b.jar"), "12").unwrap();
        assert!(is_complete(jars));
    }

    #[test]
    fn kafka_home_tells_its_version_and_must_have_the_one_asked_for() {
        let home = tempfile::tempdir().unwrap();
        assert!(
            in_kafka_home(home.path(), "")
                .unwrap_err()
                .to_string()
                .contains("libs/kafka_2.13")
        );
        fs::create_dir(home.path().join("libs")).unwrap();
        for name in [
            "kafka_2.13-4.0.1.jar",
            "kafka_2.13-4.0.1-sources.jar",
            "kafka-clients-4.0.1.jar",
        ] {
            fs::write(home.path().join("libs").join(name), "").unwrap();
        }
        assert_eq!(in_kafka_home(home.path(), "").unwrap().version, "4.0.1");
        assert_eq!(in_kafka_home(home.path(), "4.0.1").unwrap().version, "4.0.1");
        assert!(
            in_kafka_home(home.path(), "4.1.0")
                .unwrap_err()
                .to_string()
                .contains("unset KAFKA_HOME")
        );
    }

    #[test]
    fn share_groups_came_with_kafka_4() {
        let with = ["3.9.2", "4.0.0", "10.1.0", "trunk"].map(is_line_4);
        assert_eq!(with, [false, true, true, false]);
    }

    #[test]
    fn an_unpinned_version_names_the_pinned_ones() {
        assert_eq!(pinned("").unwrap().version, DEFAULT_VERSION);
        assert!(pinned("0.8.2").unwrap_err().to_string().contains(DEFAULT_VERSION));
    }
}
