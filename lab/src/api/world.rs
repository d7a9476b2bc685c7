//! What the route tables mean for the packets: reads EC2's state from moto and tells the fabric.
//!
//! A moved association is followed without asking moto again, because sixteen moves at once would otherwise queue up behind
//! each other's questions and show in the measure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::fabric::{Fabric, Hop, Routes};
use crate::moto::Moto;
use crate::plan::Nat;
use crate::vpc::Ids;
use crate::xml::{self, Instance, Table};

#[derive(Debug, Default)]
struct Mirror {
    instances: BTreeMap<String, Instance>,
    /// What each table sends where, by table id.
    tables: BTreeMap<String, Routes>,
    /// Subnet of every explicit association, by association id.
    associations: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct World {
    moto: Moto,
    fabric: Arc<Fabric>,
    ids: Arc<Ids>,
    mirror: Mutex<Mirror>,
    /// Moves that the fabric has not followed yet.
    moves: Mutex<Vec<Moved>>,
}

/// One `ReplaceRouteTableAssociation` that EC2 has carried out.
#[derive(Debug)]
struct Moved {
    old: String,
    new: String,
    table: String,
}

impl World {
    pub(super) fn new(moto: &Moto, fabric: &Arc<Fabric>, ids: &Arc<Ids>) -> Self {
        Self {
            moto: moto.clone(),
            fabric: Arc::clone(fabric),
            ids: Arc::clone(ids),
            mirror: Mutex::default(),
            moves: Mutex::default(),
        }
    }

    pub(super) fn instances(&self) -> BTreeMap<String, Instance> {
        lock(&self.mirror).instances.clone()
    }

    pub(super) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Asks for everything and applies it.
    pub(super) fn sync(&self) -> anyhow::Result<()> {
        // Held throughout: of two changes at once, the later question must also be the later answer applied.
        let mut mirror = lock(&self.mirror);
        mirror.instances = xml::instances(&self.moto.call("DescribeInstances", &[])?)?;
        let tables = xml::tables(&self.moto.call("DescribeRouteTables", &[])?)?;
        let instances = &mirror.instances;
        mirror.tables = tables.iter().map(|table| (table.id.clone(), self.routes(table, instances))).collect();
        mirror.associations = tables.iter().flat_map(|table| table.associations.iter().cloned()).collect();
        for (n, subnet) in self.ids.subnets.iter().enumerate() {
            let table = tables.iter().find(|table| table.associations.iter().any(|(_, id)| *id == subnet.id));
            let routes = table.and_then(|table| mirror.tables.get(&table.id)).cloned().unwrap_or_default();
            self.fabric.route(n, &routes)?;
        }
        for nat in Nat::BOTH {
            let checked = mirror.instances.get(&self.ids.nat(nat).instance).is_some_and(|instance| instance.checked);
            self.fabric.check(nat, checked)?;
        }
        Ok(())
    }

    /// Follows one `ReplaceRouteTableAssociation`, and with it all that wait meanwhile: sixteen at once take as long as two.
    pub(super) fn moved(&self, old: &str, new: &str, table: &str) -> anyhow::Result<()> {
        lock(&self.moves).push(Moved { old: old.to_owned(), new: new.to_owned(), table: table.to_owned() });
        let mut mirror = lock(&self.mirror);
        // Nothing is left where another has followed this move too.
        let moves = std::mem::take(&mut *lock(&self.moves));
        let mut routes = Vec::new();
        for one in moves {
            let subnet = mirror.associations.get(&one.old).cloned();
            let n = subnet.as_ref().and_then(|subnet| self.ids.subnets.iter().position(|known| known.id == *subnet));
            let (Some(subnet), Some(n), Some(hops)) = (subnet, n, mirror.tables.get(&one.table).cloned()) else {
                drop(mirror);
                return self.sync();
            };
            mirror.associations.remove(&one.old);
            mirror.associations.insert(one.new, subnet);
            routes.push((n, hops));
        }
        self.fabric.route_all(&routes)
    }

    fn routes(&self, table: &Table, instances: &BTreeMap<String, Instance>) -> Routes {
        let hop = |via: &Option<String>| {
            let nat = via.as_ref().and_then(|id| self.ids.which(id));
            let runs = |nat: &Nat| instances.get(&self.ids.nat(*nat).instance).is_some_and(|instance| instance.running);
            nat.filter(runs).map_or(Hop::Blackhole, Hop::Nat)
        };
        table.routes.iter().filter_map(|(net, via)| Some((net.parse().ok()?, hop(via)))).collect()
    }
}
