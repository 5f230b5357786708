"""What runs when. In an installed package, these modules are `nightscribe.dags`."""
