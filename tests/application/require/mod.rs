//! Parts of a site that are for logged-in clients only, and the way to the login page and back.

mod extractors;
mod layers;
mod redirects;
mod site;
