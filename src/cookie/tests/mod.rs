mod reading;
mod writing;

const ONE: &str = "AAAAAAAAAAAAAAAAAAAAaaaaaaaaaaaaaaaaaaaaaaaa";
