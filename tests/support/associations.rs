//! For an account in which only associations are ever changed: whoever asks it for a route or an address has lost his way.

/// The traits that such an account has no use for.
macro_rules! associations_only {
    (no routes: $client:ty) => {
        impl natwatch::act::Routes for $client {
            async fn route(
                &self,
                _: &natwatch::model::RouteTableId,
                _: &natwatch::model::Cidr,
            ) -> Result<Option<natwatch::model::Route>, String> {
                unreachable!("a route is read")
            }

            async fn replace_route(
                &self,
                _: &natwatch::model::RouteTableId,
                _: &natwatch::model::Cidr,
                _: &natwatch::model::Way,
                _: bool,
            ) -> Result<(), natwatch::act::ChangeError> {
                unreachable!("a route is replaced")
            }

            async fn create_route(
                &self,
                _: &natwatch::model::RouteTableId,
                _: &natwatch::model::Cidr,
                _: &natwatch::model::Way,
                _: bool,
            ) -> Result<(), natwatch::act::ChangeError> {
                unreachable!("a route is made")
            }

            async fn delete_route(
                &self,
                _: &natwatch::model::RouteTableId,
                _: &natwatch::model::Cidr,
                _: bool,
            ) -> Result<(), natwatch::act::ChangeError> {
                unreachable!("a route is deleted")
            }
        }
    };
    (no addresses: $client:ty) => {
        impl natwatch::act::Addresses for $client {
            async fn address(&self, _: &natwatch::model::AllocationId) -> Result<Option<natwatch::act::Held>, String> {
                unreachable!("an address is read")
            }

            async fn addresses_of(
                &self,
                _: &natwatch::model::InterfaceId,
            ) -> Result<Vec<natwatch::model::AllocationId>, String> {
                unreachable!("an interface's addresses are read")
            }

            async fn associate_address(
                &self,
                _: &natwatch::model::AllocationId,
                _: &natwatch::model::Holder,
                _: bool,
            ) -> Result<(), natwatch::act::ChangeError> {
                unreachable!("an address is moved")
            }

            async fn disassociate_address(
                &self,
                _: &natwatch::model::EipAssociationId,
                _: bool,
            ) -> Result<(), natwatch::act::ChangeError> {
                unreachable!("an address is taken away")
            }
        }
    };
    ($client:ty) => {
        associations_only!(no routes: $client);
        associations_only!(no addresses: $client);
    };
}

pub(crate) use associations_only;
