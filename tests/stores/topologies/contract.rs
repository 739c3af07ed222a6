//! What every store keeps, of a store on several servers.

use crate::contract::{passes_every_case, passes_every_case_of_the_index};
use crate::support::deployment;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_a_cluster_keeps_the_contract() {
    passes_every_case(deployment::cluster(), |store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_a_cluster_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index(deployment::cluster(), |store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_sentinels_lead_to_its_primary_keeps_the_contract() {
    passes_every_case(deployment::sentinel(), |store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_sentinels_lead_to_its_primary_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index(deployment::sentinel(), |store| store).await;
}
