//! What every engine must do, told once: the binary `fake` runs it against the stand-in and the binary `real` against
//! an engine on this machine, so that neither the adapter nor the stand-in can drift from what engines do.

pub(crate) mod archives;
pub(crate) mod bench;
pub(crate) mod commands;
pub(crate) mod containers;
pub(crate) mod events;
pub(crate) mod images;
pub(crate) mod networks;
pub(crate) mod streams;
pub(crate) mod volumes;

pub(crate) use bench::{Bench, collect};
pub(crate) use commands::SCRIPTS;

/// Makes a test of each scenario. `$bench` is how a binary sets up its engine.
macro_rules! every_scenario {
    ($bench:path: $($module:ident::$name:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let bench = $bench().await;
                $crate::scenarios::$module::$name(&bench).await;
            }
        )*
    };
}

/// The list of scenarios.
macro_rules! scenarios {
    ($bench:path) => {
        $crate::scenarios::every_scenario! {
            $bench:
            archives::files_go_in_and_come_out_of_a_container_that_never_ran,
            archives::files_can_be_put_into_a_volume,
            archives::a_download_is_limited,
            archives::a_directory_that_is_not_there_takes_no_files,
            commands::outputs_and_exit_statuses_come_apart,
            commands::input_reaches_a_command_and_its_end_ends_it,
            commands::a_terminal_has_one_output,
            commands::a_program_that_is_not_there_has_a_status_of_its_own,
            commands::a_stopped_container_takes_no_command,
            commands::a_command_ends_with_its_container,
            containers::a_container_lives_and_dies,
            containers::a_name_is_given_once,
            containers::what_is_asked_for_is_what_is_found,
            containers::what_is_missing_is_said_to_be,
            containers::a_missing_bind_source_makes_no_container,
            containers::limits_beyond_the_machine_are_refused,
            containers::the_main_process_leaves_its_output_and_its_status,
            containers::who_waits_learns_of_the_end,
            containers::figures_come_while_it_runs,
            containers::lists_know_labels,
            containers::a_container_needs_a_command,
            events::a_life_is_told_in_order,
            events::only_the_labelled_are_told_of,
            images::an_image_is_built_and_removed,
            images::a_failed_build_says_why,
            images::an_image_that_is_nowhere_cannot_be_had,
            images::a_root_file_system_becomes_an_image,
            images::an_image_in_use_stays,
            networks::a_network_lives_and_dies,
            networks::addresses_belong_to_one_network,
            networks::a_container_has_the_address_it_asks_for,
            networks::a_container_is_put_on_further_networks,
            networks::a_container_without_network_is_on_none,
            streams::whoever_attaches_before_the_start_misses_nothing,
            streams::the_input_stays_open_for_the_next_who_attaches,
            streams::an_unlogged_process_can_be_attached_to,
            volumes::a_volume_lives_and_dies,
            volumes::a_volume_in_use_stays,
            volumes::an_empty_volume_takes_the_images_files_unless_told_not_to,
        }
    };
}

pub(crate) use {every_scenario, scenarios};
